#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/databases.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'What goes wrong while a system moves, each once: its exit code, its reason, and who serves afterwards'
trap 'rc=$?; databases_stop; (exit $rc); scenario_end' EXIT
# Elsewhere: a byte flipped in transit (51), a file changed during the copy (37, 45), a full target (13), kill -9 and resume (19), a changed
# host key (10, 24, behind a bastion 101), a closed window and give_up (81), a link that goes down (22), a plan edited after approval (14).

postgres_start old; postgres_start new
mkdir "$TOP/bin" "$TOP/state"
make_small "$TOP/src"
# What pg_dump says goes through $TOP/state/through when that is there, and the command ends well all the same.
cat >"$TOP/bin/pg_dump" <<-S
	#!/bin/bash
	[ -e $TOP/state/through ] || exec /usr/bin/pg_dump "\$@"
	/usr/bin/pg_dump "\$@" | sh $TOP/state/through
	exit 0
S
chmod +x "$TOP/bin/pg_dump"
host bas
host old --env "PGHOST=$TOP/pg.old PGUSER=postgres PATH=$TOP/bin:$PATH"; host new --env "PGHOST=$TOP/pg.new PGUSER=postgres"
relay bastion bas
unset 'HOST[bas]'
for n in old new; do HOST[$n]=${HOST[$n]%\}}", via: bastion}"; done
pg old postgres -c 'CREATE DATABASE wxzj TEMPLATE template0'
pg old wxzj -c 'CREATE TABLE owner (id int PRIMARY KEY, name text)' -c "INSERT INTO owner SELECT g, 'owner ' || g FROM generate_series(1, 3000) g"
cat >"$TOP/act" <<-S
	#!/bin/sh
	case \$WAYBILL_POINT in freeze) touch $TOP/state/frozen ;; thaw) rm -f $TOP/state/frozen ;; esac
	[ "\$WAYBILL_POINT \$WAYBILL_HOST" = 'freeze local' ] && [ -e $TOP/state/drop ] || exit 0
	rm -f $TOP/state/dropped
	printf 'cut\nsync %s\n' $TOP/state/dropped >$TOP/relay-bastion/control
	for i in \$(seq 2400); do [ -e $TOP/state/dropped ] && exit 0; sleep 0.05; done
	exit 1
S
chmod +x "$TOP/act"
person zhang wang zhao
cat >"$TOP/wxzj.yaml" <<-Y
	waybill: 1
	name: wxzj
	kind: migration
	parties:
	  department: {name: 住房和城乡建设局}
	people:
	  zhang: {name: 张三, party: department, key: "${KEY[zhang]}"}
	  wang: {name: 王五, party: department, key: "${KEY[wang]}"}
	  zhao: {name: 赵六, party: department, key: "${KEY[zhao]}"}
	operators: [zhao]
	hosts:
	  ${HOST[bastion]}
	  ${HOST[old]}
	  ${HOST[new]}
	datasets:
	  www: {files: {from: "old:$TOP/src", to: "new:$TOP/dst", activate: swap}}
	  db: {database: {driver: postgresql, from: old, to: new, name: wxzj}}
	hooks:
	  freeze: [{run: act, host: local}, {run: act, host: old}]
	  thaw: [{run: act, host: old}]
	gates: {freeze: {approve: [department]}}
	passes: {max: 1}
Y
serving() { same_text "serving: $1" "$(tail -n 1 "$ERR")" 'the last line'; }
frozen() { [ ! -e "$TOP/state/frozen" ] || fail 'still frozen'; }
as_zhao() { local want=$1; shift; expect "$want" --as zhao "$@"; }

part 'who operates does not confirm (6), and who is no operator does not run (6)'
expect 6 run "$TOP/wxzj.yaml" --yes
says "$ERR" 'may be run by its operators only'
expect 6 --as zhang run "$TOP/wxzj.yaml" --yes
says "$ERR" 'not by zhang'
as_zhao 3 run "$TOP/wxzj.yaml" --yes
serving source
as_zhao 6 approve wxzj freeze --key "$KEYS/zhao"
says "$ERR" 'zhao is an operator of plan wxzj and can open none of its gates'
as_zhao 3 run "$TOP/wxzj.yaml" --yes
frozen
expect 0 approve wxzj freeze --as zhang --key "$KEYS/zhang"

part 'a dump that was cut while its command ended well: nobody is fed with it (1), thawed'
echo 'head -c 20000' >"$TOP/state/through"
as_zhao 1 run "$TOP/wxzj.yaml" --yes
says "$ERR" 'dataset db: pg_dump at host old' 'it was cut' 'thawed'
serving source; frozen
same_text 0 "$(pg new postgres -c "SELECT count(*) FROM pg_database WHERE datname = 'wxzj'")" 'databases at the target'

part 'one row less in the dump: different (4), thawed, and what came is not taken for good'
expect 0 approve wxzj freeze --as zhang --key "$KEYS/zhang"
printf 'grep -v "^1234\tow"\n' >"$TOP/state/through"
as_zhao 4 run "$TOP/wxzj.yaml" --yes
says "$ERR" 'dataset db version' 'public.owner' 'thawed'
serving source; frozen
same_text 2999 "$(pg new wxzj -c 'SELECT count(*) FROM owner')" 'rows that came'
same_text absent "$([ -e "$TOP/dst" ] && echo there || echo absent)" 'the files at the target'
rm "$TOP/state/through"
expect 0 approve wxzj freeze --as zhang --key "$KEYS/zhang"
as_zhao 6 run "$TOP/wxzj.yaml" --yes
says "$ERR" 'the database wxzj at host new is not empty'
frozen
pg new postgres -c 'DROP DATABASE wxzj'

part 'the bastion drops idle connections in the middle of the freeze, and the clocks are ten minutes apart: it goes through, and both are told'
touch "$TOP/state/drop"
expect 0 approve wxzj freeze --as zhang --key "$KEYS/zhang"
export WAYBILL_CLOCK; WAYBILL_CLOCK=$(date -u -d '10 minutes' +%Y-%m-%dT%H:%M:%SZ)
expect 0 check "$TOP/wxzj.yaml" --connect
says "$OUT" 'set the clocks right'
sed -i 's/max: 1/max: 2/' "$TOP/wxzj.yaml"
as_zhao 0 run "$TOP/wxzj.yaml" --until copy --amend 'two passes'
expect 0 approve wxzj freeze --as zhang --key "$KEYS/zhang"
echo late >>"$TOP/src/c/many"
as_zhao 0 run "$TOP/wxzj.yaml" --yes
serving target
[ -e "$TOP/state/dropped" ] || fail 'nothing was cut'
skews() { ledger ls-tree --name-only refs/heads/wxzj events/ | grep preflight-done | while read -r f; do ledger show "refs/heads/wxzj:$f" | jq -r '.data.clock_skew_s | "\(.old) \(.new)"'; done | tail -n 1; }
read -r a b <<<"$(skews)"
[ "$a" -le -590 ] && [ "$a" -ge -700 ] && [ "$b" -le -590 ] || fail "skews in the ledger: $a $b"
unset WAYBILL_CLOCK
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify wxzj db
expect 0 verify wxzj www --full
same_text 3000 "$(pg new wxzj -c 'SELECT count(*) FROM owner')" 'rows'
expect 0 audit "$WS"
