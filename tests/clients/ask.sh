# shellcheck shell=bash disable=SC2034,SC2154  # what it declares run.sh uses, and the other way round
# The clients. Sourced by run.sh: one function a client, and what each can be asked.
#
# Every client's answer is brought into one normal form, so that they can be compared: the words in byte order with a
# space between, or NXDOMAIN, NODATA, or another code in capitals. A word is an address, a name with its final dot,
# `port:target` for SRV, `"text"` for TXT. A client that does not tell NXDOMAIN from NODATA says NONE for both.
#
# Uses of run.sh: the array `inside` (how to run a command where the server is), `server` and `port`, the folder `tmp`,
# `here`.

# Seconds. A client that hangs is a failure, not a wait; the second is for one that is asked everything at once.
readonly patience=5 long_patience=40

declare -A package=(
  [dig]=dnsutils [kdig]=knot-dnsutils [drill]=ldnsutils [busybox]=busybox [getent]=libc-bin
  [go]=golang-go [node]=nodejs [python3]=python3 [ip]=iproute2 [gcc]=gcc
)

# The program behind each client, the types that it can be asked for, and what it needs of the place it runs in:
# `port` it can be told a server and a port; `53` it asks port 53 of what resolv.conf names.
# `search` says that it walks the search list, so that short names can be asked.
clients=(dig kdig drill nslookup ping getent go go-cgo node node-lookup python)
declare -A program=(
  [dig]=dig [kdig]=kdig [drill]=drill [nslookup]=busybox [ping]=busybox [getent]=getent
  [go]=go [go-cgo]=go [node]=node [node-lookup]=node [python]=python3
)
declare -A types=(
  [dig]="A AAAA SRV PTR TXT CNAME NS" [kdig]="A AAAA SRV PTR TXT CNAME NS" [drill]="A AAAA SRV PTR TXT CNAME NS"
  [nslookup]="A AAAA SRV PTR TXT" [ping]="A" [getent]="A AAAA PTR"
  [go]="A AAAA SRV PTR TXT" [go-cgo]="A AAAA PTR" [node]="A AAAA SRV PTR TXT CNAME" [node-lookup]="A AAAA"
  [python]="A AAAA PTR"
)
declare -A place=(
  [dig]=port [kdig]=port [drill]=port [nslookup]=53 [ping]=53 [getent]=53
  [go]=port [go-cgo]=53 [node]=port [node-lookup]=53 [python]=53
)
declare -A search=([dig]=1 [ping]=1 [getent]=1 [go]=1 [go-cgo]=1 [node-lookup]=1 [python]=1)
# Shows the code of an answer that is neither NOERROR nor NXDOMAIN.
declare -A shows_codes=([dig]=1 [kdig]=1 [drill]=1)
# Shows one address of a name, whichever comes first.
declare -A one_address=([ping]=1)
# Shows one name for an address, however many there are.
declare -A first_name_only=([getent]=1 [go-cgo]=1 [python]=1)

run() { timeout "$patience" "${inside[@]}" "$@"; }
run_long() { timeout "$long_patience" "${inside[@]}" "$@"; }

words() { LC_ALL=C sort | paste -sd ' '; }

# Output of dig, kdig and drill → normal form. $1: the type that was asked for.
section_to_words() {
  local text code answer
  text=$(cat)
  code=$(grep -oE '(status|rcode): [A-Z]+' <<<"$text" | head -n 1 | grep -oE '[A-Z]+$') || code=SILENCE
  answer=$(awk -v want="$1" '
    /^;; ANSWER SECTION/ { inside = 1; next }
    /^;;/ || /^$/ { inside = 0 }
    inside && $4 == want { print want == "SRV" ? $7 ":" $8 : $5 }' <<<"$text" | words)
  if [[ $code != NOERROR ]]; then
    printf '%s\n' "$code"
  else
    printf '%s\n' "${answer:-NODATA}"
  fi
}

ask_dig() {
  local what=(-t "$1" -q "$2")
  [[ $1 == PTR ]] && what=(-x "$2")
  [[ $2 == *. || $1 == PTR ]] || what+=(+search)
  run dig "@$server" -p "$port" +time=2 +tries=1 "${what[@]}" | section_to_words "$1"
}

ask_kdig() {
  local what=(-t "$1" -q "$2")
  [[ $1 == PTR ]] && what=(-x "$2")
  run kdig "@$server" -p "$port" +time=2 +retry=0 "${what[@]}" | section_to_words "$1"
}

ask_drill() {
  local what=("$2" "$1")
  [[ $1 == PTR ]] && what=(-x "$2")
  run drill -p "$port" "@$server" "${what[@]}" | section_to_words "$1"
}

ask_nslookup() {
  local text answer what=("-type=${1,,}" "$2")
  # Only without a type does it turn an address round.
  [[ $1 == PTR ]] && what=("$2")
  text=$(run busybox nslookup "${what[@]}" 2>&1) || true
  answer=$(awk -v want="$1" '
    /^Name:/ { named = 1 }
    want ~ /^A/ && named && /^Address/ { print $NF }
    want == "SRV" && /service = / { print $(NF - 1) ":" $NF "." }
    want == "PTR" && /name = / { print $NF "." }
    want == "TXT" && /text = / { print $NF }' <<<"$text" | words)
  case $text in
    # "** server can't find NAME: CODE"
    *"can't find"*) printf '%s\n' "${text##*: }" ;;
    # Of NODATA it says nothing, or "*** Can't find NAME: No answer".
    *Address*) printf '%s\n' "${answer:-NODATA}" ;;
    *) tr '\n' ' ' <<<"$text" ;;
  esac
}

# Prints the address before it sends; whether anyone is there to reply does not matter.
ask_ping() {
  local text
  text=$(run busybox ping -4 -c 1 -w 1 "$2" 2>&1) || true
  case $text in
    *"bad address"*) echo NONE ;;
    *) sed -nE 's/^PING [^ ]+ \(([^)]+)\).*/\1/p' <<<"$text" ;;
  esac
}

ask_getent() {
  local answer
  case $1 in
    A) answer=$(run getent ahostsv4 "$2" | awk '$2 == "STREAM" { print $1 }' | words) || true ;;
    # getaddrinfo is asked with AI_V4MAPPED here, which makes an IPv6 address of an IPv4 one where there is no other.
    AAAA) answer=$(run getent ahostsv6 "$2" | awk '$2 == "STREAM" && !/^::ffff:/ { print $1 }' | words) || true ;;
    PTR) answer=$(run getent hosts "$2" | awk '{ print $2 "." }') || true ;;
  esac
  printf '%s\n' "${answer:-NONE}"
}

# The rest take a list of questions at once: a start of Node a question would be half a minute.
ask_all_go() { GODEBUG=netdns=go run_long "$tmp/lookup-go"; }
ask_all_go-cgo() { GODEBUG=netdns=cgo run_long "$tmp/lookup-go"; }
ask_all_node() { run_long node "$here/lookup.mjs" resolve; }
ask_all_node-lookup() { run_long node "$here/lookup.mjs" lookup; }
ask_all_python() { run_long python3 "$here/lookup.py"; }

# ask CLIENT: questions `TYPE NAME` on standard input → lines `TYPE NAME ANSWER`, tab-separated.
ask() {
  local client=$1 qtype name answer
  if declare -F "ask_all_$client" >/dev/null; then
    "ask_all_$client" || true
    return
  fi
  while read -r qtype name; do
    answer=$("ask_$client" "$qtype" "$name" </dev/null) || true
    printf '%s\t%s\t%s\n' "$qtype" "$name" "$answer"
  done
}
