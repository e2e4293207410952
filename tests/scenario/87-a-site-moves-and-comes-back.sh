#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/nginx.sh"
scenario 'A site under real nginx moves while it is written to: maintenance page, swap, the new server answers; with a failing smoke test the old one again'

command -v nginx >/dev/null && command -v curl >/dev/null || skip 'no nginx or curl here'
mkdir -p "$TOP/old/www/data" "$TOP/new"
echo 'a known record' >"$TOP/old/www/index.html"
for n in {1..600}; do head -c 4000 /dev/urandom >"$TOP/old/www/data/$n"; done
host old; host new
nginx_start old "$TOP/old/www"; nginx_start new "$TOP/new/www"
# The application: it writes while its site serves, and not behind the maintenance page.
touch "$TOP/written"
(while sleep 0.05; do
	(flock 9; [ "$(page old | cut -c1-3)" = 200 ] && date +%s%N | tee -a "$TOP/written" >>"$TOP/old/www/data/log") 9>"$TOP/in-flight"
done) & SCENARIO_PIDS+=($!)
# What was let in before the maintenance page ends first.
printf '#!/bin/sh\nflock %s true\n' "$TOP/in-flight" >"$TOP/settle"; chmod +x "$TOP/settle"
more_than() { [ "$(wc -l <"$TOP/written")" -gt "$1" ]; }
predicted_well() {
	ledger show "refs/heads/move:$(events move | grep cutover-done | tail -n 1)" >"$TOP/cut"
	jq -r '.data | "  frozen for \(.freeze_s * 100 | round / 100) s, predicted \(.predicted_s * 100 | round / 100) s"' "$TOP/cut"
	# What a loaded machine adds to a second is no fault of the prediction.
	jq -e '.data | (.freeze_s - .predicted_s) as $d | ($d < .predicted_s * 0.5 + 1 and $d > -(.predicted_s * 0.5 + 1))' "$TOP/cut" >/dev/null
}
plan() {
	DATASET='activate: swap' MORE="hooks:
  freeze: [{run: nginx-maintenance, host: old, with: {action: enter, $(nginx_with old)}}, {run: settle, host: old}]
  thaw: [{run: nginx-maintenance, host: old, with: {action: leave, $(nginx_with old)}}]
  cutover: [{run: nginx-maintenance, host: new, with: {action: leave, $(nginx_with new)}}]
  rollback: [{run: nginx-maintenance, host: new, with: {action: enter, $(nginx_with new)}}]
  smoke:
    - {run: tcp-check, host: new, with: {port: \"${NGINX_PORT[new]}\"}}
    - {run: http-check, host: new, tries: 3, every: 1s, with: {url: \"http://127.0.0.1:${NGINX_PORT[new]}/\", contains: \"$1\"}}
rollback: {on_failed_smoke: yes}
passes: {max: 3, until: 5s}" migration "old:$TOP/old/www" "new:$TOP/new/www"
}

part 'a smoke test that fails: everything as before, nothing lost'
plan 'another record' >"$TOP/move.yaml"
expect 4 run "$TOP/move.yaml" --yes
same_text 'serving: source' "$(tail -n 1 "$ERR")" 'the last line'
same_text '200 a known record' "$(page old)" 'the old site'
same_text 503 "$(page new | cut -c1-3)" 'the new site'
n=$(wc -l <"$TOP/written")
await 'that the application writes again' more_than "$((n + 10))"

part 'and then for good: the known record at the new place, the source as it was at the freeze'
plan 'a known record' >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml" --yes
same_text 'serving: target' "$(tail -n 1 "$ERR")" 'the last line'
same_text '200 a known record' "$(page new)" 'the new site'
same_text 503 "$(page old | cut -c1-3)" 'the old site'
same_tree "$TOP/old/www" "$TOP/new/www"
same_file "$TOP/written" "$TOP/new/www/data/log"

part 'it took about as long as predicted'
# Something else on this machine may come between: then it moves once more.
for try in 1 2 3 4 5; do
	[ $try = 1 ] || { expect 0 rollback move --yes; expect 0 run "$TOP/move.yaml" --yes; }
	predicted_well && break
done
predicted_well >/dev/null || fail "prediction: $(cat "$TOP/cut")"
expect 0 verify move --full
expect 0 finish move
expect 0 audit "$WS"
