# What kafka.sh and registry.sh share; sourced, not run.
# The life of a part: fetched once, started on a free port, its address printed, killed by its own
# process id when standard input ends or the script is told to stop.
# PART_BRIEF=1 is for a part that lives for a minute: Java compiles what it runs once, quickly, and
# not well later, which takes a third of the processor's time off such a life.

CACHE=${QUORATE_CACHE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.cache}
mkdir -p "$CACHE"
child=
java=(java)
[ -z "${PART_BRIEF:-}" ] || java+=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC)

# The directory given, or one of its own that goes when the part does.
if [ $# -gt 0 ]; then
  dir=$1
  mkdir -p "$dir"
else
  dir=$(mktemp -d "${TMPDIR:-/tmp}/quorate.XXXXXX")
  passing=$dir
fi

# A port nobody listens on, below the range that outgoing connections use.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (echo > "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port"; return; }
  done
}

# once LOCK COMMAND: runs the command while no other process does.
once() {
  local lock=$1
  shift
  exec 9> "$lock"
  flock 9
  "$@"
  exec 9>&-
}

# train ARCHIVE START: has Java write down, once, which classes the part takes to start: with them it
# does so in half the time. Without, it starts all the same.
train() {
  local archive=$1 start=$2
  [ -e "$archive" ] || (
    unset "${!KAFKA_@}"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/quorate.XXXXXX")
    trap 'stop; rm -rf "$dir" "$archive.new"' EXIT
    java+=(-XX:ArchiveClassesAtExit="$archive.new")
    "$start"
    comes_up || exit 1
    stop
    mv "$archive.new" "$archive"
  ) > /dev/null 2>&1 || true
  [ ! -e "$archive" ] || java+=(-XX:SharedArchiveFile="$archive")
}

# launch LOG COMMAND...: starts it in the background; the kernel kills it should this script be
# killed before it could.
launch() {
  local log=$1 guard=()
  shift
  command -v setpriv > /dev/null && guard=(setpriv --pdeathsig KILL)
  "${guard[@]}" "$@" > "$log" 2>&1 < /dev/null &
  child=$!
}

stop() {
  if [ -n "$child" ] && kill "$child" 2> /dev/null; then
    wait "$child" 2> /dev/null || true
  fi
  child=
}

leave() {
  stop
  rm -rf "${passing:-}"
}

# run LOG START: starts the part, again on other ports if it dies at once, and stays with it.
run() {
  local log=$1 start=$2 attempt
  trap leave EXIT
  trap 'exit 0' INT TERM
  for attempt in 1 2 3; do
    "$start"
    if comes_up; then stay; exit 0; fi
    stop
  done
  tail -20 "$log" >&2
  exit 1
}

# Waits until the part takes connections; fails if it dies, or does not in two minutes.
comes_up() {
  for _ in $(seq 1 1200); do
    kill -0 "$child" 2> /dev/null || return 1
    if ready && listens; then return 0; fi
    sleep 0.1
  done
  return 1
}

# Whether it is the part that answers: another one, started at the same time, may have taken the port
# first, and would be gone with its own owner.
listens() {
  local port=${address%% *} inode
  port=${port#*//} port=${port%%/*}
  port=$(printf ':%04X' "${port##*:}")
  for inode in $(awk -v port="$port" '$4 == "0A" && index($2, port) { print $10 }' \
    /proc/net/tcp /proc/net/tcp6 2> /dev/null); do
    ! ls -l "/proc/$child/fd" 2> /dev/null | grep -qF "socket:[$inode]" || return 0
  done
  return 1
}

# Prints the address; returns when standard input ends or the part is gone, which it says.
stay() {
  local status
  echo "$address"
  while kill -0 "$child" 2> /dev/null; do
    status=0
    read -r -t 1 _ || status=$?
    # Above 128: nothing came within the second. Otherwise it ended.
    [ "$status" -gt 128 ] || [ "$status" -eq 0 ] || return 0
  done
  echo "the part at $address ended by itself" >&2
}
