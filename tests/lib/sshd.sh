# sshd.sh - throw-away sshd processes for the scenario tests.  Source it: . "$WAYBILL_SOURCE/tests/lib/sshd.sh"
#
# Every instance has its own host keys, authorized_keys and configuration beneath a lab directory, listens on one address
# (127.0.0.1 unless told otherwise) and gives its sessions a HOME and an XDG_CACHE_HOME of their own in the lab, so that neither the
# user's ~/.ssh and ~/.cache nor the system's sshd is ever touched.  Everything is stopped by pid.
#
#   sshd_lab DIR              use (and make) DIR as the lab; makes the client key $SSHD_KEY (ed25519, no passphrase) and $SSHD_KEY.pub
#   sshd_start NAME [option]...   start an instance and wait until it listens; returns 1 (with its log on stderr) if it does not
#       --port N              fixed port; otherwise a free one is found
#       --listen ADDRESS      default 127.0.0.1
#       --as USER             run sshd itself as this existing plain user with a login shell (only as root); log in as USER then;
#                             the lab must be reachable for USER (chmod 755 on a mktemp -d)
#       --hostkey TYPE        ed25519 (default), ecdsa or rsa; repeat for several
#       --authorize FILE.pub  one more key that may log in; repeat ($SSHD_KEY.pub always may)
#       --config 'LINE'       one more sshd_config line, placed first, so it wins over the defaults; repeat
#       --env NAME=VALUE      one more environment variable for the sessions; repeat
#       --prefix 'WORDS'      command in front of sshd, as 'ip netns exec far'
#   sshd_env NAME [PAIR]      new connections have PAIR in their environment too; without PAIR as at the beginning
#   sshd_stop NAME            stop it and all its sessions
#   sshd_cut NAME             kill its sessions only (a connection cut in mid-stream); the listener stays
#   sshd_sessions NAME        print how many connections are alive
#   sshd_known NAME [FILE]    append its host keys to a known_hosts FILE (default $SSHD_LAB/known_hosts)
#   sshd_client_config        write $SSHD_LAB/ssh_config (the lab's known_hosts and key, no agent) and export WAYBILL_SSH_CONFIG with
#                             its name, so that waybill reads this instead of the user's own configuration and known_hosts
#   sshd_keygen TYPE FILE [PASSPHRASE]   ed25519, ecdsa or rsa key pair
#   sshd_agent NAME FILE...   start an ssh-agent holding these private keys; prints nothing, sets SSHD_AGENT_SOCK[NAME]
#   sshd_cleanup              stop every instance and agent; keeps the directory.  Use: trap sshd_cleanup EXIT
#
# After sshd_start these arrays hold, by NAME:
#   SSHD_PORT  SSHD_ADDR  SSHD_PID  SSHD_LOG (file)  SSHD_DIR (its directory)  SSHD_HOME (HOME of its sessions)
#   SSHD_LOGIN (the user to log in as)
#   SSHD_HOSTKEY (first host key as a plan's host_key line, "ssh-ed25519 AAAA...")   SSHD_FP (the same as "SHA256:...")

# shellcheck disable=SC2034  # read by the scripts that source this
declare -gA SSHD_PORT=() SSHD_ADDR=() SSHD_PID=() SSHD_LOG=() SSHD_DIR=() SSHD_HOME=() SSHD_LOGIN=() SSHD_HOSTKEY=() SSHD_FP=()
declare -gA SSHD_AGENT_SOCK=() SSHD_AGENT_PID=()
declare -g SSHD_LAB="" SSHD_KEY="" SSHD_BIN=""

sshd_keygen() {
	local bits=()
	[ "$1" != rsa ] || bits=(-b 2048)
	rm -f "$2" "$2.pub"
	ssh-keygen -q -t "$1" "${bits[@]}" -N "${3:-}" -C "throw-away" -f "$2" </dev/null
}

sshd_lab() {
	SSHD_BIN=$(PATH="$PATH:/usr/sbin:/sbin" command -v sshd) || { echo "sshd.sh: sshd is not installed" >&2; return 1; }
	mkdir -p "$1" && SSHD_LAB=$(cd "$1" && pwd) || return 1
	SSHD_KEY=$SSHD_LAB/id_client
	[ -f "$SSHD_KEY" ] || sshd_keygen ed25519 "$SSHD_KEY" || return 1
	# Debian's sshd refuses to start as root without it; it is left there, as another instance may be using it.
	if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then mkdir -m 0755 /run/sshd || return 1; fi
}

# Prints the pids of all descendants of $1, deepest last.
sshd__descendants() {
	local stat line pid ppid frontier=" $1 " found="" again=1
	while [ "$again" = 1 ]; do
		again=0
		for stat in /proc/[0-9]*/stat; do
			{ read -r line <"$stat"; } 2>/dev/null || continue
			pid=${line%% *}
			line=${line##*) }		# the command name may hold spaces and brackets
			ppid=${line#* }; ppid=${ppid%% *}
			case $frontier in *" $pid "*) continue ;; esac
			case $frontier in *" $ppid "*) frontier="$frontier$pid "; found="$found $pid"; again=1 ;; esac
		done
	done
	echo $found
}

sshd__children() {
	local stat line
	for stat in /proc/[0-9]*/stat; do
		{ read -r line <"$stat"; } 2>/dev/null || continue
		local pid=${line%% *}
		line=${line##*) }; line=${line#* }
		[ "${line%% *}" != "$1" ] || echo "$pid"
	done
}

sshd__config() {	# NAME USER TYPES EXTRA ENV AUTHORIZE
	local dir=${SSHD_DIR[$1]} type
	printf '%s' "$4"
	cat <<-CONF
	ListenAddress ${SSHD_ADDR[$1]}
	PidFile none
	AuthorizedKeysFile $dir/authorized_keys
	StrictModes no
	UsePAM no
	UseDNS no
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	PermitRootLogin yes
	PrintMotd no
	PrintLastLog no
	MaxStartups 200
	MaxSessions 200
	LogLevel VERBOSE
	SetEnv HOME=${SSHD_HOME[$1]} XDG_CACHE_HOME=${SSHD_HOME[$1]}/.cache$5
	CONF
	for type in $3; do printf 'HostKey %s/host_%s\n' "$dir" "$type"; done
}

sshd__listen() {	# NAME PORT PREFIX USER: 0 listening, 1 not
	local name=$1 log=${SSHD_LOG[$1]} as=() i
	[ -z "$4" ] || as=(setpriv "--reuid=$4" "--regid=$(id -g "$4")" --init-groups --)
	# shellcheck disable=SC2086
	$3 "${as[@]}" "$SSHD_BIN" -D -e -f "${SSHD_DIR[$name]}/sshd_config" -p "$2" </dev/null >>"$log" 2>&1 &
	SSHD_PID[$name]=$! SSHD_PORT[$name]=$2
	for ((i = 0; i < 2400; i++)); do
		grep -q "^Server listening on" "$log" && return 0
		kill -0 "${SSHD_PID[$name]}" 2>/dev/null || break
		sleep 0.05
	done
	kill "${SSHD_PID[$name]}" 2>/dev/null || :
	wait "${SSHD_PID[$name]}" 2>/dev/null || :
	unset "SSHD_PID[$name]"
	return 1
}

sshd_start() {
	local name=$1 port="" listen=127.0.0.1 user="" types="" extra="" env="" prefix="" keys=() dir type i
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--port) port=$2 ;;
		--listen) listen=$2 ;;
		--as) user=$2 ;;
		--hostkey) types="$types $2" ;;
		--authorize) keys+=("$2") ;;
		--config) extra="$extra$2"$'\n' ;;
		--env) env="$env $2" ;;
		--prefix) prefix=$2 ;;
		*) echo "sshd_start: unknown option $1" >&2; return 1 ;;
		esac
		shift 2
	done
	dir=$SSHD_LAB/sshd-$name
	mkdir -p "$dir/home" || return 1
	SSHD_DIR[$name]=$dir SSHD_HOME[$name]=$dir/home SSHD_LOG[$name]=$dir/log SSHD_ADDR[$name]=$listen
	SSHD_LOGIN[$name]=${user:-$(id -un)}
	types=${types:-ed25519}
	for type in $types; do [ -f "$dir/host_$type" ] || sshd_keygen "$type" "$dir/host_$type" || return 1; done
	cat "$SSHD_KEY.pub" "${keys[@]}" >"$dir/authorized_keys" || return 1
	# Servers from 9.8 on would shut 127.0.0.1 out after a few of the refused log-ins that tests make on purpose.
	case $("$SSHD_BIN" -t -o PerSourcePenalties=no -h "$dir/host_${types##* }" -f /dev/null 2>&1) in
	*'Bad configuration'*) ;;
	*) extra="${extra}PerSourcePenalties no"$'\n' ;;
	esac
	sshd__config "$name" "$user" "$types" "$extra" "$env" >"$dir/sshd_config"
	[ -z "$user" ] || chown -R "$user" "$dir" || return 1
	set -- $types
	SSHD_HOSTKEY[$name]=$(cut -d' ' -f1,2 "$dir/host_$1.pub")
	SSHD_FP[$name]=$(ssh-keygen -l -f "$dir/host_$1.pub" | cut -d' ' -f2)
	for ((i = 0; i < 20; i++)); do
		: >"$dir/log"
		sshd__listen "$name" "${port:-$((20000 + RANDOM % 12000))}" "$prefix" "$user" && return 0
		[ -z "$port" ] && grep -q "Address already in use" "$dir/log" || break
	done
	echo "sshd_start: $name does not listen:" >&2
	cat "$dir/log" >&2
	return 1
}

sshd_cut() {
	local pids
	pids=$(sshd__descendants "${SSHD_PID[$1]}")
	[ -z "$pids" ] || kill -9 $pids 2>/dev/null || :
}

# The server begins anew as the same process; until it listens again it has not read what changed.
sshd_env() {
	local name=$1 config=${SSHD_DIR[$1]}/sshd_config was i
	was=$(grep -c "^Server listening on" "${SSHD_LOG[$name]}")
	[ -f "$config.first" ] || cp "$config" "$config.first"
	sed "s|^SetEnv HOME=.*|&${2:+ $2}|" "$config.first" >"$config"
	kill -HUP "${SSHD_PID[$name]}"
	for ((i = 0; i < 2400; i++)); do
		[ "$(grep -c "^Server listening on" "${SSHD_LOG[$name]}")" -le "$was" ] || return 0
		sleep 0.05
	done
	echo "sshd_env: $name does not listen again" >&2
	return 1
}

sshd_sessions() {
	sshd__children "${SSHD_PID[$1]}" | wc -l
}

sshd_stop() {
	local pid=${SSHD_PID[$1]:-} pids
	[ -n "$pid" ] || return 0
	pids=$(sshd__descendants "$pid")
	kill "$pid" $pids 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	unset "SSHD_PID[$1]"
}

sshd_known() {
	local pub file=${2:-$SSHD_LAB/known_hosts} host="[${SSHD_ADDR[$1]}]:${SSHD_PORT[$1]}"
	[ "${SSHD_PORT[$1]}" != 22 ] || host=${SSHD_ADDR[$1]}
	for pub in "${SSHD_DIR[$1]}"/host_*.pub; do
		printf '%s %s\n' "$host" "$(cut -d' ' -f1,2 "$pub")" >>"$file"
	done
}

sshd_client_config() {
	printf '%s\n' "UserKnownHostsFile $SSHD_LAB/known_hosts" "GlobalKnownHostsFile /dev/null" "IdentityFile $SSHD_KEY" \
		"IdentityAgent none" >"$SSHD_LAB/ssh_config"
	export WAYBILL_SSH_CONFIG=$SSHD_LAB/ssh_config
}

sshd_agent() {
	local name=$1 sock=$SSHD_LAB/agent-$1 i
	shift
	rm -f "$sock"
	ssh-agent -D -a "$sock" >/dev/null 2>&1 &
	SSHD_AGENT_PID[$name]=$! SSHD_AGENT_SOCK[$name]=$sock
	for ((i = 0; i < 2400; i++)); do [ -S "$sock" ] && break; sleep 0.05; done
	[ $# = 0 ] || SSH_AUTH_SOCK=$sock ssh-add -q "$@" </dev/null
}

sshd_cleanup() {
	local name
	for name in "${!SSHD_PID[@]}"; do sshd_stop "$name"; done
	for name in "${!SSHD_AGENT_PID[@]}"; do
		kill "${SSHD_AGENT_PID[$name]}" 2>/dev/null || :
		wait "${SSHD_AGENT_PID[$name]}" 2>/dev/null || :
	done
	SSHD_AGENT_PID=()
}
