#include "esc.h"
#include "ledger_private.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

uint64_t event_name_seq(const char *name)
{
	size_t n = strspn(name, "0123456789");
	uint64_t v = 0;

	if (n < 6 || n > 18 || (n > 6 && name[0] == '0') || name[n] != '-')
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(name[i] - '0');
	return v;
}

int event_name(const struct ledger_event *ev, struct buf *b, struct err *e)
{
	if (!ledger_word_ok(ev->stage) || !ledger_word_ok(ev->state))
		return err_set(e, ERR_BUG, "event with stage \"%s\" and state \"%s\"", ev->stage ? esc_s(ev->stage) : "",
		    ev->state ? esc_s(ev->state) : "");
	buf_printf(b, "%06" PRIu64 "-%s-%s.json", ev->seq, ev->stage, ev->state);
	return buf_finish(b, e);
}

void event_put_line(struct buf *b, const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "\\");

		esc_put(b, s, n);
		if (!s[n])
			return;
		buf_putc(b, '\\');
		s += n + 1;
	}
}

/* Takes v; false when it could not be made or stored. */
static bool put_text(json_t *o, const char *key, const char *s)
{
	OWN_BUF struct buf line = BUF_INIT;

	event_put_line(&line, s ? s : "");
	if (line.failed)
		return false;
	return json_object_set_new(o, key, json_string(line.data ? line.data : "")) == 0;
}

static json_t *load_data(const char *text, struct err *e)
{
	json_error_t je;
	json_t *data = json_loads(text && *text ? text : "{}", JSON_REJECT_DUPLICATES, &je);

	if (data && json_is_object(data))
		return data;
	json_decref(data);
	err_set(e, ERR_BUG, "event: its data is no JSON object");
	return NULL;
}

static json_t *build(const struct ledger_event *ev, const char *plan, const uint8_t *prev, json_t *data)
{
	json_t *o = json_object();
	uint8_t zeros[DIGEST_LEN] = { 0 };
	char hex[DIGEST_HEX];

	hex_of(prev ? prev : zeros, DIGEST_LEN, hex);
	if (json_object_set(o, "data", data) < 0 || json_object_set_new(o, "waybill", json_integer(1)) < 0 ||
	    json_object_set_new(o, "seq", json_integer((json_int_t)ev->seq)) < 0 || !put_text(o, "prev", hex) ||
	    !put_text(o, "plan", plan) || !put_text(o, "plan_digest", ev->plan_digest) || !put_text(o, "stage", ev->stage) ||
	    !put_text(o, "state", ev->state) || !put_text(o, "at", ev->at) || !put_text(o, "by", ev->by) ||
	    !put_text(o, "text", ev->text)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int event_encode(const struct ledger_event *ev, const char *plan, const uint8_t *prev, struct buf *b, struct err *e)
{
	json_t *data = load_data(ev->data, e), *o;
	char *text;

	if (!data)
		return -1;
	o = build(ev, plan, prev, data);
	json_decref(data);
	text = o ? json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
	json_decref(o);
	if (!text) {
		errno = ENOMEM;
		return err_sys(e, "event");
	}
	buf_puts(b, text);
	buf_putc(b, '\n');
	free(text);
	if (buf_finish(b, e) < 0)
		return -1;
	if (b->len > LEDGER_EVENT_MAX)
		return err_set(e, ERR_PERMANENT, "event of %zu bytes is beyond the limit of %u", b->len, LEDGER_EVENT_MAX);
	return 0;
}

void event_held_dispose(struct event_held *h)
{
	json_decref(h->json);
	free(h->data);
	*h = (struct event_held)EVENT_HELD_INIT;
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool take_fields(struct event_held *h, const json_t *o, const char *plan)
{
	const char *prev = text_of(o, "prev"), *name = text_of(o, "plan");
	const json_t *seq = json_object_get(o, "seq"), *data = json_object_get(o, "data");
	struct ledger_event *ev = &h->ev;

	ev->stage = text_of(o, "stage");
	ev->state = text_of(o, "state");
	ev->text = text_of(o, "text");
	ev->by = text_of(o, "by");
	ev->at = text_of(o, "at");
	ev->plan_digest = text_of(o, "plan_digest");
	if (json_integer_value(json_object_get(o, "waybill")) != 1 || json_integer_value(seq) < 1 || !prev ||
	    strlen(prev) != 2 * DIGEST_LEN || !hex_parse(prev, h->prev, DIGEST_LEN) || !name || strcmp(name, plan) != 0 ||
	    !ev->stage || !ev->state || !ev->text || !ev->by || !ev->at || !ev->plan_digest || !json_is_object(data))
		return false;
	ev->seq = (uint64_t)json_integer_value(seq);
	h->data = json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS);
	ev->data = h->data;
	return h->data != NULL;
}

int event_decode(const void *p, size_t n, const char *plan, struct event_held *h, struct err *e)
{
	json_error_t je;

	h->json = json_loadb(p, n, JSON_REJECT_DUPLICATES, &je);
	if (!h->json)
		return err_set(e, ERR_INTEGRITY, "no JSON: line %d: %s", je.line, esc_s(je.text));
	if (!take_fields(h, h->json, plan))
		return err_set(e, ERR_INTEGRITY, "not an event of plan %s: a field is missing or wrong", plan);
	return digest_sha256(p, n, h->ev.digest, e);
}

/* Cut b to at most max bytes, at the start of a character and not inside an escape. */
static void cut(struct buf *b, size_t max)
{
	size_t n = max - 3;

	if (b->len <= max)
		return;
	while (n > 0 && ((b->data[n] & 0xc0) == 0x80 || memchr(b->data + (n > 3 ? n - 3 : 0), '\\', n > 3 ? 3 : n)))
		n--;
	b->len = n;
	buf_puts(b, "...");
}

void event_message(const struct ledger_event *ev, struct buf *b)
{
	OWN_BUF struct buf subject = BUF_INIT;

	buf_printf(&subject, "%06" PRIu64 " %s %s: ", ev->seq, ev->stage, ev->state);
	event_put_line(&subject, ev->text ? ev->text : "");
	while (subject.len && subject.data[subject.len - 1] == ' ')
		subject.data[--subject.len] = '\0';
	cut(&subject, LEDGER_SUBJECT_MAX);
	if (subject.failed)
		b->failed = true;
	buf_put(b, subject.data, subject.len);
	buf_puts(b, "\n\nPlan-Digest: ");
	event_put_line(b, ev->plan_digest ? ev->plan_digest : "");
	buf_puts(b, "\nBy: ");
	event_put_line(b, ev->by && *ev->by ? ev->by : "waybill");
	buf_puts(b, "\nAt: ");
	event_put_line(b, ev->at ? ev->at : "");
	buf_putc(b, '\n');
}
