#!/usr/bin/env bash
# ZooKeeper servers for development, on the loopback only, from Debian's package:
#   apt-get install -y --no-install-recommends zookeeper default-jre-headless
#
# usage: tools/zookeeper.sh COMMAND …
#   start DIR [PORT [SERVERS]]  start SERVERS of them (default 1) at PORT (default 2181) and the ports after it,
#                               wait until all serve, and print the connect string; DIR keeps everything
#   stop DIR [N]                stop all of them, or server N (from 1)
#   restart DIR N               start server N again
#   kill DIR N                  SIGKILL server N
#   pause DIR N, resume DIR N   SIGSTOP and SIGCONT server N
#   connect DIR                 print the connect string
#   4lw PORT WORD               send a four-letter word: ruok, srvr, cons, dump, wchp, mntr
#
# TICK_MS (default 100) is the servers' tick; sessions may be as short as two of them.
set -euo pipefail

readonly CLASSPATH_JAR=/usr/share/java/zookeeper.jar
readonly START_SECONDS=60

fail() {
  echo "zookeeper.sh: $*" >&2
  exit 1
}

usage() {
  sed -n '/^# usage:/,/^# TICK_MS/s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

# Reads DIR/shape, which `start` wrote.
load() {
  dir=${1:?} shape=$1/shape
  [[ -f $shape ]] || fail "no servers were ever started in $dir"
  read -r port servers <"$shape"
}

pid_of() { # N: prints the process id of a running server
  local pid
  # A zombie has no command line: it waits for a parent that does not ask, and runs no more.
  pid=$(cat "$dir/$1/pid" 2>/dev/null) && [[ -n $(tr -d '\0' <"/proc/$pid/cmdline" 2>/dev/null) ]] && echo "$pid"
}

running() { # N: the same, or an error
  pid_of "$1" || fail "server $1 in $dir does not run"
}

connect_string() {
  local n text=
  for ((n = 0; n < servers; n++)); do text+=${text:+,}127.0.0.1:$((port + n)); done
  echo "$text"
}

word() { # PORT WORD
  { exec 9<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf '%s' "$2" >&9
  timeout 2 cat <&9
  exec 9>&-
}

configure() { # N
  local n=$1 home=$dir/$1 peer
  mkdir -p "$home/data"
  echo "$n" >"$home/data/myid"
  {
    echo "tickTime=${TICK_MS:-100}"
    echo "initLimit=50"
    echo "syncLimit=20"
    echo "dataDir=$home/data"
    echo "clientPort=$((port + n - 1))"
    echo "clientPortAddress=127.0.0.1"
    echo "maxClientCnxns=0"
    echo "minSessionTimeout=$((2 * ${TICK_MS:-100}))"
    echo "maxSessionTimeout=60000"
    if ((servers > 1)); then
      for ((peer = 1; peer <= servers; peer++)); do
        echo "server.$peer=127.0.0.1:$((port + 1000 + peer)):$((port + 2000 + peer))"
      done
    fi
  } >"$home/zoo.cfg"
}

launch() { # N
  # A session of its own: it goes on when the terminal does not.
  setsid java -Xmx512m -cp "$CLASSPATH_JAR" \
    -Dzookeeper.admin.enableServer=false \
    -Dzookeeper.4lw.commands.whitelist='*' \
    -Dzookeeper.extendedTypesEnabled=true \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/$1/zoo.cfg" \
    </dev/null >>"$dir/$1/log" 2>&1 &
  echo $! >"$dir/$1/pid"
}

await_serving() { # N
  local deadline=$((SECONDS + START_SECONDS))
  until word $((port + $1 - 1)) srvr 2>/dev/null | grep -q '^Mode:'; do
    ((SECONDS < deadline)) || fail "server $1 does not serve after $START_SECONDS s: see $dir/$1/log"
    pid_of "$1" >/dev/null || fail "server $1 ended: see $dir/$1/log"
    sleep 0.1
  done
}

halt() { # N
  local pid deadline=$((SECONDS + 10))
  pid=$(pid_of "$1") || return 0
  kill -CONT "$pid"
  kill -TERM "$pid"
  while pid_of "$1" >/dev/null; do
    ((SECONDS < deadline)) || kill -KILL "$pid" 2>/dev/null || true
    sleep 0.1
  done
  rm -f "$dir/$1/pid"
}

(($# >= 2)) || usage
command=$1
shift
case $command in
start)
  [[ -e $CLASSPATH_JAR ]] || fail "no $CLASSPATH_JAR: apt-get install -y --no-install-recommends zookeeper default-jre-headless"
  mkdir -p "$1"
  dir=$(cd "$1" && pwd) port=${2:-2181} servers=${3:-1}
  for ((n = 1; n <= servers; n++)); do
    pid_of "$n" >/dev/null && fail "server $n in $dir runs already"
    (exec 9<>"/dev/tcp/127.0.0.1/$((port + n - 1))") 2>/dev/null && fail "port $((port + n - 1)) is taken"
  done
  echo "$port $servers" >"$dir/shape"
  for ((n = 1; n <= servers; n++)); do configure "$n" && launch "$n"; done
  for ((n = 1; n <= servers; n++)); do await_serving "$n"; done
  connect_string
  ;;
stop)
  load "$1"
  for n in ${2:-$(seq "$servers")}; do halt "$n"; done
  ;;
restart)
  load "$(cd "$1" && pwd)"
  pid_of "${2:?}" >/dev/null && fail "server $2 runs already"
  launch "$2"
  await_serving "$2"
  ;;
kill | pause | resume)
  load "$1"
  case $command in kill) signal=KILL ;; pause) signal=STOP ;; resume) signal=CONT ;; esac
  pid=$(running "${2:?which server?}")
  kill -$signal "$pid"
  ;;
connect)
  load "$1"
  connect_string
  ;;
4lw)
  word "$1" "${2:?which word?}" || fail "nothing answers on port $1"
  ;;
*) usage ;;
esac
