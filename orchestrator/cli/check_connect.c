#include "check_connect.h"

#include <string.h>

#include "esc.h"
#include "output.h"
#include "places.h"

static bool has_data(const struct plan *p, const char *host)
{
	for (size_t i = 0; i < p->ndatasets; i++)
		if ((p->datasets[i].from.host && strcmp(p->datasets[i].from.host, host) == 0) ||
		    (p->datasets[i].to.host && strcmp(p->datasets[i].to.host, host) == 0))
			return true;
	return false;
}

static bool used(const struct plan *p, const char *host) { return has_data(p, host) || strcmp(host, "local") != 0; }

static void print_place(struct cli_context *c, const char *path, const json_t *f)
{
	char size[OUT_SIZE];

	out_text(c, "  %s: %s, %s on %s, %s and %s inodes free%s%s\n", esc_s(path),
	    strcmp(place_fact(f, "exists"), "yes") == 0 ? place_fact(f, "type") : "does not exist", place_fact(f, "fstype"), place_fact(f, "mount"),
	    out_size(place_number(f, "free_bytes"), size), place_fact(f, "free_inodes"),
	    *place_fact(f, "serial") ? ", device serial " : "", place_fact(f, "serial"));
}

static int look(struct cli_context *c, struct run *r, const char *host, const struct plan_place *at, json_t *places, json_t **first, struct err *e)
{
	json_t *f;

	if (!at->host || !at->path || strcmp(at->host, host) != 0)
		return 0;
	if (place_facts(r, host, at->path, &f, e) < 0)
		return -1;
	if (!*first)
		*first = json_incref(f);
	print_place(c, at->path, f);
	(void)json_array_append_new(places, f);
	return 0;
}

static int places_of(struct cli_context *c, struct run *r, const char *host, json_t *places, json_t **first, struct err *e)
{
	for (size_t i = 0; i < r->plan->ndatasets; i++)
		if (look(c, r, host, &r->plan->datasets[i].from, places, first, e) < 0 ||
		    look(c, r, host, &r->plan->datasets[i].to, places, first, e) < 0)
			return -1;
	return *first ? 0 : place_facts(r, host, "/", first, e);
}

/* Only dialled through: nothing of ours runs there, and it may allow no commands at all. */
static bool only_bastion(const struct plan *p, const char *host)
{
	for (size_t i = 0; !has_data(p, host) && i < p->nhosts; i++)
		if (p->hosts[i].via && strcmp(p->hosts[i].via, host) == 0)
			return true;
	return false;
}

static int only_log_in(struct cli_context *c, struct run *r, const struct plan_host *h, json_t *report, struct err *e)
{
	struct host *host;

	if (run_log_in(r, h->name, &host, e) < 0) {
		out_text(c, "host %s: %s\n", h->name, e->text);
		(void)json_object_set_new(report, h->name, json_pack("{s:s,s:[]}", "error", e->text, "places"));
		return -1;
	}
	out_text(c, "host %s: %s\n  a bastion: nothing of waybill runs there\n", h->name, host_route(host));
	(void)json_object_set_new(report, h->name, json_pack("{s:s,s:s,s:[]}", "route", host_route(host), "client_reason",
	    host_client_reason(host), "places"));
	return 0;
}

static int one(struct cli_context *c, struct run *r, const struct plan_host *h, json_t *report, struct err *e)
{
	struct host *host;
	json_t *places = json_array(), *first = NULL, *o;
	int64_t skew;

	if (run_host(r, h->name, &host, e) < 0) {
		out_text(c, "host %s: %s\n", h->name, e->text);
		(void)json_object_set_new(report, h->name, json_pack("{s:s,s:o}", "error", e->text, "places", places));
		return -1;
	}
	out_text(c, "host %s: %s\n", h->name, host_route(host));
	if (*host_client_reason(host))
		out_text(c, "  %s\n", host_client_reason(host));
	out_text(c, "  agent at %s\n", esc_s(host_agent_path(host)));
	if (places_of(c, r, h->name, places, &first, e) < 0) {
		out_text(c, "  %s\n", e->text);
		json_decref(places);
		return -1;
	}
	skew = place_skew(first);
	out_text(c, "  user %s (%s), kernel %s, clock %+lld s%s\n", place_fact(first, "user"), strcmp(place_fact(first, "euid"), "0") == 0 ?
	    h->become_sudo ? "root by sudo" : "root" : "not root: owners and devices cannot be kept", place_fact(first, "kernel"), (long long)skew,
	    skew > PLACE_SKEW_S || skew < -PLACE_SKEW_S ? ": set the clocks right" : "");
	o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "route", host_route(host), "client_reason", host_client_reason(host), "agent",
	    host_agent_path(host), "user", place_fact(first, "user"), "euid", place_fact(first, "euid"), "kernel", place_fact(first, "kernel"),
	    "clock_skew_s", (json_int_t)skew, "places", places);
	json_decref(first);
	(void)json_object_set_new(report, h->name, o);
	return 0;
}

int check_connect(struct cli_context *c, const struct plan *p, json_t *report, struct err *e)
{
	OWN_FREE char *agent = NULL;
	struct run_options o = { .as = NULL };
	struct run r;
	int res = 0;

	if (cli_agent_binary(&agent, e) < 0)
		return -1;
	o.agent_binary = agent;
	if (run_open_hosts(&r, p, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < p->nhosts; i++) {
		struct err why = ERR_INIT;

		if (!used(p, p->hosts[i].name) || (only_bastion(p, p->hosts[i].name) ? only_log_in : one)(c, &r, &p->hosts[i], report, &why) == 0)
			continue;
		if (res == 0 || err_worse_exit(err_exit_code(e->class), err_exit_code(why.class)) != err_exit_code(e->class))
			*e = why;
		res = -1;
	}
	run_close(&r);
	return res;
}
