#!/bin/sh
# Installs what the tests need: Kafka's jars by Maven, the CometD client, the AsyncAPI parser and axe
# by npm, and Debian packages where one is missing and we may. mongod and hadolint come with the locked
# test tools. Quick when nothing is to be done. A part that can't be had is skipped by its tests,
# with a reason; with CI=true it is a failure here.
set -u

PATH="$PATH:/usr/sbin"
modules=/usr/lib/*/kamailio/modules

missing() {
  command -v kamailio >/dev/null 2>&1 || printf 'kamailio '
  ls $modules/evapi.so >/dev/null 2>&1 || printf 'kamailio-extra-modules '
  ls $modules/jansson.so >/dev/null 2>&1 || printf 'kamailio-json-modules '
  command -v sipp >/dev/null 2>&1 || printf 'sip-tester '
  command -v systemd-analyze >/dev/null 2>&1 || printf 'systemd '
  command -v go >/dev/null 2>&1 || printf 'golang-go '
  { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1 || printf 'chromium '
}

install_packages() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "parts: not root, so not installing: $*" >&2
    return 1
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "parts: no apt-get here, so not installing: $*" >&2
    return 1
  fi
  # Debian starts what it installs; a proxy on port 5060 is not what tests are for.
  [ -e /usr/sbin/policy-rc.d ] || {
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  }
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@"; } >&2
}

# The jars that tests/support/parts.py starts; a half-made folder is not taken.
kafka_jars() {
  here=$(cd "$(dirname "$0")" && pwd)
  cache=$here/../../.cache/kafka
  [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ] && return 0
  cmp -s "$here/kafka/pom.xml" "$cache/pom.xml" && return 0
  command -v mvn >/dev/null 2>&1 || install_packages maven default-jre-headless || return 1
  rm -rf "$cache" && mkdir -p "$cache" &&
    mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$cache/libs" >&2 && cp "$here/kafka/pom.xml" "$cache/pom.xml"
}

# What npm brings: the CometD client of tests/support/cometd_clients.py, the AsyncAPI parser of
# tests/support/asyncapi_parser.py, the rules of accessibility of tests/support/browser.py. Every package by the hash in the lock file; a half-made folder is
# not taken.
npm_packages() {
  here=$(cd "$(dirname "$0")" && pwd)
  cache=$here/../../.cache/$1
  cmp -s "$here/$1/package-lock.json" "$cache/made-of.json" && return 0
  command -v npm >/dev/null 2>&1 || install_packages nodejs npm || return 1
  rm -rf "$cache" && mkdir -p "$cache" &&
    cp "$here/$1/package.json" "$here/$1/package-lock.json" "$cache" &&
    (cd "$cache" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) &&
    cp "$cache/package-lock.json" "$cache/made-of.json"
}

kafka_jars || {
  echo "parts: no Kafka (cluster tests will be skipped)" >&2
  [ "${CI:-}" = true ] && exit 1
}

npm_packages cometd || {
  echo "parts: no CometD client (its tests will be skipped)" >&2
  [ "${CI:-}" = true ] && exit 1
}

npm_packages axe || {
  echo "parts: no axe (the toolbar's tests will be skipped)" >&2
  [ "${CI:-}" = true ] && exit 1
}

npm_packages asyncapi || {
  echo "parts: no AsyncAPI parser (its tests will be skipped)" >&2
  [ "${CI:-}" = true ] && exit 1
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0
# shellcheck disable=SC2086 # one word each
install_packages $wanted
left=$(missing)
[ -z "$left" ] && exit 0
echo "parts: not to be had: $left(tests that need them will be skipped)" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
