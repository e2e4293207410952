#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/nginx.sh"
scenario 'Ready-made hooks: each does what it says, run twice the same as once, and undoes it; systemctl, crontab and nsupdate are stand-ins'

HOOKS=$WAYBILL_SOURCE/hooks
export WAYBILL_PLAN=test
# run STATUS HOOK name=value...: once, and once more with the same outcome
once() {
	local want=$1 hook=$2 rc pair env=()
	shift 2
	for pair; do env+=("WAYBILL_WITH_$pair"); done
	env "${env[@]}" "$HOOKS/$hook" </dev/null >"$OUT" 2>"$ERR"; rc=$?
	[ "$rc" = "$want" ] || fail "$hook $*: status $rc, expected $want"
	[ "$rc" != 0 ] || jq -e '.text | length > 0' "$OUT" >/dev/null || fail "$hook: no answer in JSON: $(cat "$OUT")"
}
twice() { once "$@"; once "$@"; }
mkdir "$TOP/bin"; export PATH=$TOP/bin:$PATH
standin() { cat >"$TOP/bin/$1"; chmod +x "$TOP/bin/$1"; }

part 'systemd'
standin systemctl <<EOF
#!/bin/sh
echo "\$*" >>$TOP/systemctl
case \$1 in is-active) cat $TOP/unit.\$3; [ "\$(cat $TOP/unit.\$3)" = active ] ;;
start | reload) [ \$3 = broken ] || echo active >$TOP/unit.\$3 ;; stop) [ \$3 = broken ] || echo inactive >$TOP/unit.\$3 ;; esac
EOF
for u in nginx app broken; do echo active >"$TOP/unit.$u"; done
twice 0 systemd ACTION=stop UNIT='nginx app'
same_text 'inactive inactive' "$(cat "$TOP/unit.nginx" "$TOP/unit.app" | paste -sd' ')" 'units'
twice 0 systemd ACTION=start UNIT=nginx
same_text 'active' "$(cat "$TOP/unit.nginx")" 'unit'
once 1 systemd ACTION=stop UNIT=broken; says "$ERR" 'broken is active'
once 1 systemd ACTION=poweroff UNIT=x; once 1 systemd ACTION=stop; once 1 systemd ACTION=stop UNIT=--all
silent_on "$TOP/systemctl" poweroff ' --all'

part 'cron'
mkdir "$TOP/cron.d"; echo '* * * * * root true' >"$TOP/cron.d/wxzj"; cp -p "$TOP/cron.d/wxzj" "$TOP/cron.was"
printf '# m h\n*/5 * * * * /srv/job "a b"\n\n@daily x\n' >"$TOP/tab"; cp "$TOP/tab" "$TOP/tab.was"
standin crontab <<EOF
#!/bin/sh
case \$3 in -l) cat $TOP/tab ;; -) cat >$TOP/tab ;; esac
EOF
twice 0 cron ACTION=off FILE=wxzj DIR="$TOP/cron.d" USER=app
same_text wxzj.waybill-off "$(ls "$TOP/cron.d")" 'cron.d'
! grep -qv '^#' "$TOP/tab" || fail "the crontab still has jobs: $(cat "$TOP/tab")"
twice 0 cron ACTION=on FILE=wxzj DIR="$TOP/cron.d" USER=app
same_file "$TOP/cron.was" "$TOP/cron.d/wxzj"; same_file "$TOP/tab.was" "$TOP/tab"
once 1 cron ACTION=off FILE=absent DIR="$TOP/cron.d"; once 1 cron ACTION=off FILE=../x DIR="$TOP/cron.d"

part 'hosts-switch'
printf '127.0.0.1\tlocalhost\n10.1.0.5  wxzj.example wxzj # old\n10.1.0.9 other.wxzj.example\n' >"$TOP/hosts"; cp "$TOP/hosts" "$TOP/hosts.was"
ino=$(stat -c %i "$TOP/hosts")
twice 0 hosts-switch NAME=wxzj.example TO=10.2.0.7 FILE="$TOP/hosts"
same_text "10.2.0.7 1 $ino" "$(awk '!/^#/ && $2 == "wxzj.example" { print $1 }' "$TOP/hosts") $(grep -c '^[^#].*[[:space:]]wxzj.example' "$TOP/hosts") $(stat -c %i "$TOP/hosts")" 'the name'
once 0 hosts-switch NAME=wxzj.example TO=10.2.0.8 FILE="$TOP/hosts"
same_text 10.2.0.8 "$(awk '!/^#/ && $2 == "wxzj.example" { print $1 }' "$TOP/hosts")" 'the name'
twice 0 hosts-switch ACTION=restore NAME=wxzj.example FILE="$TOP/hosts"
same_file "$TOP/hosts.was" "$TOP/hosts"
once 1 hosts-switch NAME='a b' TO=10.0.0.1 FILE="$TOP/hosts"

part 'dns-switch: the key goes by standard input'
standin nsupdate <<EOF
#!/bin/sh
cat >$TOP/nsupdate.\$\$; cat $TOP/nsupdate.\$\$ >$TOP/nsupdate; echo "\$*" >>$TOP/nsupdate.argv
EOF
twice 0 dns-switch SERVER=10.0.0.53 ZONE=example.gov.cn NAME=wxzj.example.gov.cn TO='10.2.0.7 2001:db8::7' KEY=hmac-sha256:waybill:c2VjcmV0c2VjcmV0
says "$TOP/nsupdate" 'key hmac-sha256:waybill c2VjcmV0c2VjcmV0' 'update add wxzj.example.gov.cn. 60 A 10.2.0.7' 'AAAA 2001:db8::7' 'zone example.gov.cn'
silent_on "$TOP/nsupdate.argv" c2Vj
once 1 dns-switch SERVER=10.0.0.53 ZONE=example.gov.cn NAME='x
update delete y' TO=10.0.0.1

command -v nginx >/dev/null && command -v curl >/dev/null || skip 'no nginx or curl: the web hooks are not shown'
mkdir "$TOP/www"; echo 'a known record' >"$TOP/www/index.html"
nginx_start web "$TOP/www"
url=http://127.0.0.1:${NGINX_PORT[web]}/
part 'tcp-check and http-check'
twice 0 tcp-check PORT="${NGINX_PORT[web]}"
once 1 tcp-check PORT=1 SECONDS=2; once 126 tcp-check PORT=x
twice 0 http-check URL="$url" CONTAINS='a known record'
once 0 http-check URL="${url}absent" EXPECT=404
once 1 http-check URL="${url}absent"; says "$ERR" 'status 404'
once 1 http-check URL="$url" CONTAINS=elsewhere; silent_on "$ERR" 'known record'
once 1 http-check URL=http://127.0.0.1:1/; once 126 http-check

part 'nginx-maintenance: the page where the site answered, and the site again'
dir=${NGINX_DIR[web]}
with=(SITE=wxzj "CONF=$dir" "PID=$dir/pid" "NGINX=nginx -c $dir/nginx.conf -p $dir -e $dir/logs/error")
was=$(cat "$dir/sites-enabled/wxzj"; readlink "$dir/sites-enabled/wxzj")
twice 0 nginx-maintenance ACTION=enter "${with[@]}"
page web | grep -q '^503 .*maintenance' || fail "the page: $(page web)"
same_text 503 "$(page web /any/where | cut -c1-3)" 'status of another address'
twice 0 nginx-maintenance ACTION=leave "${with[@]}"
same_text '200 a known record' "$(page web)" 'the site'
same_text "$was" "$(cat "$dir/sites-enabled/wxzj"; readlink "$dir/sites-enabled/wxzj")" 'its file'
once 1 nginx-maintenance ACTION=enter "${with[@]}" SITE=absent
once 1 nginx-maintenance ACTION=enter "${with[@]}" SITE=../nginx.conf
once 1 nginx-maintenance ACTION=enter "${with[@]}" PAGE='$host'
echo 'server { listen nonsense' >"$dir/sites-enabled/broken"
once 1 nginx-maintenance ACTION=enter "${with[@]}"
same_text '200 a known record' "$(page web)" 'the site after a refused page'
rm "$dir/sites-enabled/broken"
once 0 nginx-maintenance ACTION=enter "${with[@]}"; once 0 nginx-maintenance ACTION=leave "${with[@]}"
same_text '200 a known record' "$(page web)" 'the site'
