# nginx.sh - throw-away nginx servers on 127.0.0.1.  Source it after scenario.sh.
#
#   nginx_start NAME ROOT [LINES]   serves ROOT as site "wxzj" on a free port: ${NGINX_PORT[NAME]}, ${NGINX_DIR[NAME]} (its configuration);
#                           LINES go into its server block
#   nginx_with NAME         what the hook nginx-maintenance needs to know of it, as pairs for a plan's with:
#   page NAME [PATH]        status and first line of what it answers
declare -gA NGINX_PORT=() NGINX_DIR=()

nginx_start() {
	local name=$1 dir=$TOP/nginx-$1 i port
	mkdir -p "$dir/sites-available" "$dir/sites-enabled" "$dir/logs" "$dir/tmp"
	for _ in {1..20}; do
		port=$((12000 + RANDOM % 8000))	# below those that the kernel gives to clients
		cat >"$dir/nginx.conf" <<-CONF
		daemon off; worker_processes 1; pid $dir/pid; error_log $dir/logs/error; $([ "$(id -u)" != 0 ] || echo 'user root;')
		events { worker_connections 64; }
		http { access_log off; client_body_temp_path $dir/tmp/b; proxy_temp_path $dir/tmp/p; fastcgi_temp_path $dir/tmp/f;
			uwsgi_temp_path $dir/tmp/u; scgi_temp_path $dir/tmp/s; include $dir/sites-enabled/*; }
		CONF
		cat >"$dir/sites-available/wxzj" <<-CONF
		# the site
		server { listen 127.0.0.1:$port; server_name wxzj.example;
			root $2; index index.html;   # } not the end
			location / { try_files \$uri \$uri/ =404; }
			location /private { deny all; }
			${3:-}
		}
		CONF
		ln -sfn ../sites-available/wxzj "$dir/sites-enabled/wxzj"
		nginx -c "$dir/nginx.conf" -p "$dir" -e "$dir/logs/error" </dev/null >"$dir/logs/out" 2>&1 &
		NGINX_PID=$!
		SCENARIO_PIDS+=("$NGINX_PID")
		NGINX_PORT[$name]=$port NGINX_DIR[$name]=$dir
		# It writes its pid once it has the port; before that somebody else's server may answer there.
		for ((i = 0; i < 1200; i++)); do
			[ -s "$dir/pid" ] && [ "$(page "$name" / | cut -c1-3)" != 000 ] && return 0
			ended "$NGINX_PID" && break
			sleep 0.1
		done
	done
	cat "$dir/logs/error" >&2
	fail "nginx $name does not start"
}
nginx_with() {
	local dir=${NGINX_DIR[$1]}
	printf 'site: wxzj, conf: "%s", pid: "%s", nginx: "nginx -c %s/nginx.conf -p %s -e %s/logs/error"' "$dir" "$dir/pid" "$dir" "$dir" "$dir"
}
page() {
	local body
	body=$(curl -s -m 30 -w '\n%{http_code}' "http://127.0.0.1:${NGINX_PORT[$1]}${2:-/}")
	printf '%s %s\n' "${body##*$'\n'}" "$(printf '%s' "$body" | head -n 1)"
}
