-- Dispositions for calls b0 ... b4999 in turn, each a request of its own.
local n = 0
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer demo-key" }
local body = '{"agent_id":"agent-1","code":"Sale","comment":"asked for a quote"}'

request = function()
  n = n + 1
  return wrk.format("POST", "/v1/calls/b" .. (n % 5000) .. "/disposition", headers, body)
end
