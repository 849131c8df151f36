#!/usr/bin/env bash
# `rollcall watch` in a real terminal (tmux): a set is scaled and seen at once, a server goes and comes back, the
# terminal is given back on every way out. Usage: tests/watch.sh [path of rollcall [folder for pictures, as text]]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=$(realpath "${1:-target/release/rollcall}")
pictures=${2:-$(mktemp -d)}
mkdir -p "$pictures"
pictures=$(realpath "$pictures")
work=$(mktemp -d)
server=
tmux() { command tmux -L "rollcall-$$" -f /dev/null "$@"; }
finish() {
  tmux kill-server 2>/dev/null || true
  stop_server
  rm -rf "$work"
}
stop_server() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  server=
}
trap finish EXIT

write_set() { # replicas
  cat >"$work/web.new" <<YAML
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec: {serviceName: nginx, replicas: $1, template: {metadata: {labels: {app: nginx}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kubia}
spec: {serviceName: kubia, replicas: 1, template: {metadata: {labels: {app: kubia}}}}
YAML
  mv "$work/web.new" "$work/manifests/web.yaml"
}

start_server() { # admin address
  : >"$work/log"
  "$rollcall" serve --manifests "$work/manifests" --listen 127.0.0.1:0 --admin "$1" 2>"$work/log" &
  server=$!
  for _ in $(seq 300); do
    grep -q '^ready$' "$work/log" && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  echo "the server did not become ready:"; cat "$work/log"; exit 1
}

passed=0 failed=0
screen() { tmux capture-pane -p; }
sees() { # what, a regular expression, a picture's name
  for _ in $(seq 150); do
    screen >"$work/screen"
    if grep -qE -- "$2" "$work/screen"; then
      passed=$((passed + 1)); echo "ok   $1"
      [ -z "${3:-}" ] || cp "$work/screen" "$pictures/$3.txt"
      return
    fi
    sleep 0.1
  done
  failed=$((failed + 1)); echo "FAIL $1: no line like $2"; sed 's/^/     | /' "$work/screen"
}
is() { # what, expected, got
  if [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok   $1"
  else failed=$((failed + 1)); echo "FAIL $1: $3 instead of $2"; fi
}
colours() { tmux capture-pane -pe | grep -cE $'\e\\[([0-9;]*;)?(3[0-7]|38;5;[0-9]+|4[0-7]|48;5;[0-9]+|9[0-7])[;m]' || true; }
type_line() { tmux send-keys -l "$1"; tmux send-keys Enter; }
restored() { # on which way out
  sees "$1: the shell is back" '^code='"$2"
  is "$1: no alternate screen" 0 "$(tmux display-message -p '#{alternate_on}')"
  is "$1: the cursor is seen" 1 "$(tmux display-message -p '#{cursor_flag}')"
  sees "$1: what stood there before" 'before the watch'
  # `-icanon` would be what raw mode left.
  type_line 'stty -a | grep -oE -- "-?icanon"'
  sees "$1: lines are lines again" '^icanon$'
  type_line 'clear; echo before the watch'
}

mkdir "$work/manifests"
write_set 3
start_server 127.0.0.1:0
admin=$(sed -n 's/^listening admin //p' "$work/log")
tmux new-session -d -x 80 -y 24 'env PS1="$ " TERM=screen-256color bash --norc --noprofile'
type_line 'echo before the watch'
sees "a shell" '^before the watch'

type_line "'$rollcall' watch --server $admin; echo code=\$?"
sees "the set with its replicas" 'default/web +3/3 0 RRR$' start
is "in colour" yes "$([ "$(colours)" -ge 2 ] && echo yes)"
sees "a set whose Service is missing" 'default/kubia +0/1 0 -$'
sees "why the selected one has no answer" '^no Service kubia in namespace default; StatefulSet kubia names it'
write_set 4
sees "a set that is scaled, live" 'default/web +4/4 0 RRRR$' scaled
sees "the change, with how long it took" '(ms|s)  default: .*(web|4)'
tmux send-keys j
sees "another set" '^>default/web'
tmux send-keys l l l
sees "another replica" '^web-3 ready'
tmux send-keys '?'
sees "help" 'T  terminating' help
tmux send-keys x
tmux send-keys -l '/kubia'
sees "a filter" '^ 1 sets'
tmux send-keys Escape
sees "no filter any more" '^ 2 sets'
tmux resize-window -x 40 -y 12
sees "a smaller screen" '^>default/web +4/4 0 RRRR$' small
tmux resize-window -x 150 -y 40
sees "a larger screen" 'serial [0-9]+ +from manifests' large
tmux resize-window -x 80 -y 24
# tmux tells the program of its size a quarter of a second later.
sleep 0.5
sees "the first size again" '^q quit .* move$'
stop_server
sees "that the server is away" 'NOT LIVE, as of [0-9:]+; again in' lost
write_set 2
start_server "$admin"
sees "that it is back, by itself" 'default/web +2/2 0 RR$' again
sees "fresh again" ' fresh '
tmux send-keys q
restored quit 0

for signal in TERM HUP INT QUIT; do
  type_line "'$rollcall' watch --server $admin; echo code=\$?"
  sees "$signal: started" 'default/web +2/2 0 RR$'
  kill -"$signal" "$(pgrep -P "$(tmux display-message -p '#{pane_pid}')")"
  restored "$signal" 0
done

type_line "'$rollcall' watch --server $admin; echo code=\$?"
sees "Ctrl-C: started" 'default/web +2/2 0 RR$'
tmux send-keys C-c
restored Ctrl-C 0

type_line "NO_COLOR=1 '$rollcall' watch --server $admin; echo code=\$?"
sees "NO_COLOR: started" 'default/web +2/2 0 RR$'
is "NO_COLOR: no colour" 0 "$(colours)"
tmux send-keys q
# What is typed before it has ended is its own to read.
sees "NO_COLOR: the shell is back" '^code=0'
type_line "clear; '$rollcall' watch --server 127.0.0.1:1; echo code=\$?"
sees "nobody answers: code 3, and no screen" '^code=3'

echo "$passed passed, $failed failed; pictures are in $pictures"
[ "$failed" -eq 0 ]
