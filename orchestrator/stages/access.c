#include "access.h"

#include <string.h>

#include "esc.h"
#include "log.h"

static void slot_dispose(struct run_slot *s)
{
	host_close(s->host);
	free(s->identity);
}

/* 0 = it lets in; -1 with the reason. */
static int try_login(struct run *r, const struct plan_host *h, const char *user, struct err *e)
{
	OWN(slot_dispose) struct run_slot slot = { .host = NULL };
	const char *at = h->ssh ? strrchr(h->ssh, '@') : NULL;
	OWN_FREE char *ssh = NULL;

	if (!h->ssh)
		return err_set(e, ERR_USAGE, "%s is no host that one logs in to", h->name);
	if (asprintf(&ssh, "%s@%s", user, at ? at + 1 : h->ssh) < 0) {
		ssh = NULL;
		return err_sys(e, "host %s", h->name);
	}
	if (run_host_spec(r, h, &slot, e) < 0 || (h->via && run_log_in(r, h->via, &slot.spec.via, e) < 0))
		return -1;
	slot.spec.ssh = ssh;
	return host_open(&slot.host, &slot.spec, e);
}

static json_t *row(const struct plan_revoke *v, const char *result, const char *text)
{
	OWN_FREE char *user = esc_dup(v->user, strlen(v->user)), *why = esc_dup(text, strlen(text));

	return json_pack("{s:s,s:s,s:s,s:s}", "host", v->host, "user", user ? user : "", "result", result, "text", why ? why : "");
}

int access_test(struct run *r, unsigned *open, unsigned *unknown, struct err *e)
{
	const struct plan_clear *c = &r->plan->clear;
	json_t *rows;

	*open = *unknown = 0;
	if (!c->nrevoke)
		return 0;
	rows = json_array();
	for (size_t i = 0; i < c->nrevoke; i++) {
		const struct plan_revoke *v = &c->revoke[i];
		struct err why = ERR_INIT;
		bool in = try_login(r, plan_host(r->plan, v->host), v->user, &why) == 0, refused = !in && host_login_refused(&why);

		if (run_check(r, e) < 0) {
			json_decref(rows);
			return -1;
		}
		*open += in;
		*unknown += !in && !refused;
		log_info("access of %s at host %s: %s", esc_s(v->user), v->host, in ? "open" : why.text);
		(void)json_array_append_new(rows, row(v, in ? "open" : refused ? "refused" : "unreachable", in ? "logged in" : why.text));
	}
	return run_event(r, NULL, "certify", "access", json_pack("{s:o}", "access", rows), e, "access tested: %zu, still open %u, not tested %u", c->nrevoke,
	    *open, *unknown);
}
