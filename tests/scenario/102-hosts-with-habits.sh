#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A host that allows one session at a time, one whose shell talks, and one where root is reached through sudo'

make_small "$TOP/src"
head -c 5000000 /dev/urandom >"$TOP/src/large"
chown 4711:4712 "$TOP/src/large" 2>/dev/null

for client in libssh2 openssh; do
	part "one session at a time ($client)"
	host "single-$client" --config 'MaxSessions 1'
	HOST[single-$client]=${HOST[single-$client]%\}}", client: $client}"
	migration "single-$client:$TOP/src" "local:$TOP/one-$client" | sed "s/^name: move/name: one-$client/" >"$TOP/one.yaml"
	expect 0 run "$TOP/one.yaml"
	same_tree "$TOP/src" "$TOP/one-$client"
	migration "local:$TOP/src" "single-$client:$TOP/to-$client" | sed "s/^name: move/name: to-$client/" >"$TOP/to.yaml"
	expect 0 run "$TOP/to.yaml"
	same_tree "$TOP/src" "$TOP/to-$client"
	part "source and target on it ($client)"
	migration "single-$client:$TOP/src" "single-$client:$TOP/both-$client" | sed "s/^name: move/name: both-$client/" >"$TOP/both.yaml"
	expect 0 run "$TOP/both.yaml"
	same_tree "$TOP/src" "$TOP/both-$client"
	unset "HOST[single-$client]"
done

part 'a shell that talks at log-in'
plain_user
[ "$(id -u)" = 0 ] || skip 'the rest needs root'
mkdir -p "$TOP/chatty"
cat >"$TOP/chatty/sh" <<'END'
#!/bin/sh
echo 'Welcome to the machine.  WAYBILL-AGENT is not me'; printf 'no newline at the end'
echo 'and on stderr' >&2
exec /bin/sh "$@"
END
chmod 755 "$TOP/chatty" "$TOP/chatty/sh"
passwd=$(sed "s|^$PLAIN:\(.*\):/bin/bash|$PLAIN:\1:$TOP/chatty/sh|" /etc/passwd)
echo "$passwd" >/etc/passwd	# in place: it is a mount of the test's own
install -d -o "$PLAIN" "$TOP/plain-src" && cp "$TOP/src/large" "$TOP/plain-src/" && chown -R "$PLAIN:" "$TOP/plain-src"
host chatty --as "$PLAIN"
migration "chatty:$TOP/plain-src" "local:$TOP/heard" | sed 's/^name: move/name: chatty/' >"$TOP/chatty.yaml"
expect 0 run "$TOP/chatty.yaml"
same_tree "$TOP/plain-src" "$TOP/heard"

part 'root through sudo, on either side'
mkdir "$TOP/sudoers.d" && echo "$PLAIN ALL=(root) NOPASSWD: ALL" >"$TOP/sudoers.d/plain" && chmod 440 "$TOP/sudoers.d/plain"
# PAM asks the shadow file whether the account is in force.
{ cat /etc/shadow; echo "$PLAIN:*:19000:0:99999:7:::"; } >"$TOP/shadow" && chmod 600 "$TOP/shadow"
mount --bind "$TOP/sudoers.d" /etc/sudoers.d && mount --bind "$TOP/shadow" /etc/shadow || skip 'no bind mounts here'
install -d -m 700 "$TOP/only-root" && cp -a "$TOP/src/." "$TOP/only-root/"
HOST[chatty]=${HOST[chatty]%\}}", become: sudo}"
migration "chatty:$TOP/only-root" "chatty:$TOP/as-root" | sed 's/^name: move/name: sudo/' >"$TOP/sudo.yaml"
expect 0 check "$TOP/sudo.yaml" --connect
says "$OUT" 'root by sudo'
expect 0 run "$TOP/sudo.yaml"
same_tree "$TOP/only-root" "$TOP/as-root"

part 'sudo that asks for a password is named, with what to do'
echo "$PLAIN ALL=(root) ALL" >"$TOP/sudoers.d/plain"
sed 's/^name: sudo/name: asks/; s/as-root/as-asked/' "$TOP/sudo.yaml" >"$TOP/asks.yaml"
expect 7 run "$TOP/asks.yaml"
says "$ERR" chatty sudo
