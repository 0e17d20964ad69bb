# What the server scripts share: the cache of installed tools, starting, waiting, ending. Sourced, not run.
#
# Each script installs one server that somebody else wrote into the cache (once), and runs it on a loopback port of its own:
#     eval "$(tests/servers/s3 start STATEDIR)"     # exports what the tests need to reach it
#     tests/servers/s3 stop STATEDIR
# The cache is $LARDER_TEST_CACHE, or a folder beside cargo's output.

set -euo pipefail

servers=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cache=${LARDER_TEST_CACHE:-${CARGO_TARGET_DIR:-$servers/../../target}/test-tools}
mkdir -p -- "$cache"
cache=$(cd -- "$cache" && pwd)

fail() {
    echo "$(basename -- "$0"): $*" >&2
    exit 1
}

# install NAME COMMAND…: runs the command in an empty folder once, and leaves the result as $cache/NAME. Safe to run at the same
# time; what breaks off half-way is not taken for done.
install_once() {
    local name=$1
    shift
    (
        flock 9
        [ -e "$cache/$name" ] && exit 0
        echo "installing $name into $cache" >&2
        rm -rf -- "$cache/$name.new"
        mkdir -- "$cache/$name.new"
        cd -- "$cache/$name.new"
        "$@" >"$cache/$name.log" 2>&1 || fail "installing $name failed, see $cache/$name.log"
        mv -- "$cache/$name.new" "$cache/$name"
    ) 9>"$cache/$name.lock"
}

# launch STATE COMMAND…: starts a server; its process id goes to STATE/pid, its output to STATE/log.
launch() {
    local state=$1
    shift
    "$@" >"$state/log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/pid"
}

# await STATE COMMAND…: waits up to 30 s until the command succeeds.
await() {
    local state=$1 pid tries=0
    shift
    pid=$(cat -- "$state/pid")
    until "$@"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            rm -f -- "$state/pid"
            fail "the server ended: $(tail -n 5 -- "$state/log")"
        fi
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || fail "the server is not ready after 30 s, see $state/log"
        sleep 0.1
    done
}

# port_in_log STATE: the port that the server says it listens on.
port_in_log() {
    grep -oE 'http://127\.0\.0\.1:[0-9]+' "$1/log" | grep -oE '[0-9]+$' | head -n 1
}

port_is_in_log() {
    [ -n "$(port_in_log "$1")" ]
}

# A port that was free a moment ago, for servers that cannot choose one themselves.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() {
    python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1" 2>/dev/null
}

# stop_server STATE: ends the server that was started there.
stop_server() {
    local pid tries=0
    [ -e "$1/pid" ] || return 0
    pid=$(cat -- "$1/pid")
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || kill -KILL "$pid" 2>/dev/null || true
        sleep 0.1
    done
    rm -f -- "$1/pid"
}

# main START "$@": the two commands that each script has.
main() {
    local start=$1 command=${2:-} state=${3:-}
    [ -n "$state" ] || fail "usage: $(basename -- "$0") start|stop STATEDIR"
    case $command in
    start)
        mkdir -p -- "$state"
        state=$(cd -- "$state" && pwd)
        [ ! -e "$state/pid" ] || fail "a server was started in $state already"
        "$start" "$state"
        ;;
    stop) stop_server "$state" ;;
    *) fail "usage: $(basename -- "$0") start|stop STATEDIR" ;;
    esac
}
