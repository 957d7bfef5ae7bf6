-- Events of new calls, each its own, in structured mode; durable is enough: 202.
local n = 0
local headers = {
  ["Content-Type"] = "application/cloudevents+json",
  ["Authorization"] = "Bearer demo-switch-key",
  ["Prefer"] = "respond-async",
}
local event = '{"specversion":"1.0","id":"w%d","source":"/bench/switch","type":"call.started",' ..
  '"subject":"w%d","time":"2026-11-21T14:06:40.123Z","data":{"direction":"inbound",' ..
  '"from":"+493012345678","to":"+498005550100","customer_id":"customer-77","agent_id":"agent-1"}}'

request = function()
  n = n + 1
  return wrk.format("POST", "/v1/events", headers, event:format(n, n))
end
