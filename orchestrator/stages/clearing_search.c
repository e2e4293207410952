/* After the last object: what is still seen on the media? */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clearing.h"
#include "clearing_device.h"
#include "log.h"

#define LISTED 200u		/* hits in the record */

static const struct scan_result *only(const struct scan *s) { return s->n == 1 ? &s->media[0] : NULL; }

static void count_hits(struct clearing_medium *m, const struct scan_result *x)
{
	m->own += x->sum.own;
	m->names += x->sum.hits[WITNESS_NAME];
	m->measure.hits += x->sum.hits[WITNESS_SECTOR] + x->sum.hits[WITNESS_STRING] + x->sum.hits[WITNESS_CANARY];
}

static int list_hits(const struct clearing *c, struct clearing_medium *m, const struct scan_result *x, struct err *e)
{
	OWN(residue_hits_dispose) struct residue_hits h = { NULL, 0 };

	if (residue_hits(c->w, x, &h, e) < 0)
		return -1;
	for (size_t i = 0; i < h.n; i++) {
		const struct residue_hit *k = &h.v[i];
		const struct witness_file *f = &c->w->set->files[k->file];

		if (m->listed++ < LISTED)
			(void)json_array_append_new(m->hits, json_pack("{s:s,s:I,s:I,s:s,s:i,s:s,s:s}", "device", x->medium.path, "offset", (json_int_t)k->offset,
			    "length", (json_int_t)k->length, "dataset", c->w->datasets[f->dataset]->name, "version", (int)f->version, "path",
			    k->path ? k->path : "", "owner", *k->owner ? k->owner : "unknown"));
	}
	return 0;
}

static int take(const struct clearing *c, struct clearing_medium *m, const struct scan_result *x, struct err *e)
{
	m->measure.raw &= x->complete;
	m->measure.direct &= (x->medium.flags & MSG_MEDIUM_DIRECT) != 0;
	m->measure.bad += x->sum.bad;
	m->bytes_read += x->sum.bytes;
	m->ns += x->sum.ns;
	if (*x->settled)
		(void)snprintf(m->settled, sizeof(m->settled), "%.390s", x->settled);
	for (size_t i = 0; i < x->nbad && i < LISTED; i++)
		(void)json_array_append_new(m->bad, json_pack("{s:s,s:I,s:I}", "device", x->medium.path, "offset", (json_int_t)x->bad[i].offset, "length",
		    (json_int_t)x->bad[i].length));
	count_hits(m, x);
	return list_hits(c, m, x, e);
}

/* Numbers of devices hold until the next boot; the inode of an image holds longer. */
bool clearing_same_place(const char *was, const char *now)
{
	size_t boot = strcspn(was, " "), n;

	if (strncmp(was, now, boot + 1) == 0)
		return strcmp(was, now) == 0;
	was += boot;
	now += strcspn(now, " ");
	if (strncmp(was, " f:", 3) != 0)
		return strncmp(now, " b:", 3) == 0;
	n = 3 + strcspn(was + 3, ":");
	return strncmp(was, now, n + 1) == 0;
}

static const char *word(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

/* Names of devices change with a boot: what is searched must be what the objects lay on. */
static int same_medium(const struct clearing_medium *m, size_t i, const struct msg_medium *now, struct err *e)
{
	const json_t *row = json_array_get(m->rows, i);
	const char *what = NULL;

	if (strcmp(word(row, "serial"), now->serial) != 0)
		what = "serial number";
	else if (strcmp(word(row, "uuid"), now->uuid) != 0)
		what = "UUID of its file system";
	else if ((uint64_t)json_integer_value(json_object_get(row, "size")) != now->size)
		what = "size";
	else if (!clearing_same_place(word(row, "where"), now->where))
		what = "device number, or the file behind it,";
	if (!what)
		return 0;
	err_set(e, ERR_REFUSED, "host %s: %s is another medium than when the clearing began: its %s differs", m->host, m->device[i], what);
	return err_hint(e, "attach the medium under that name again, then run the same command");
}

static int look_again(struct clearing *c, struct clearing_medium *m, size_t i, struct err *e)
{
	OWN_SCAN struct scan s = SCAN_INIT;

	if (scan_open(&s, c->r, m->host, NULL, m->device[i], false, e) < 0 || scan_look(&s, e) < 0)
		return e->class == ERR_UNVERIFIED ? err_set(e, ERR_REFUSED, "host %s: %s cannot be looked at", m->host, m->device[i]) : -1;
	if (s.n != 1)
		return err_set(e, ERR_REFUSED, "host %s: %s is not there", m->host, m->device[i]);
	/* Where nothing tells it from another, and somebody could have exchanged it meanwhile, nothing is claimed of it. */
	m->known_again &= *word(json_array_get(m->rows, i), "serial") || *word(json_array_get(m->rows, i), "uuid");
	return same_medium(m, i, &s.media[0].medium, e);
}

int clearing_media_again(struct clearing *c, struct err *e)
{
	for (size_t k = 0; k < c->nmedia; k++)
		for (size_t i = 0; !c->media[k].covered && i < c->media[k].ndevices; i++)
			if (look_again(c, &c->media[k], i, e) < 0)
				return -1;
	return 0;
}

static int search_device(const struct clearing *c, struct clearing_medium *m, size_t i, const uint8_t *seed, struct err *e)
{
	struct scan_request q = { .set = c->w->set, .flags = MSG_SCAN_WANT_OWNERS, .hits_max = RESIDUE_HITS, .reads = m->reads, .seed = seed,
		.dataset = c->v[0].d->name };
	OWN_SCAN struct scan s = SCAN_INIT;
	const struct scan_result *x;

	if (scan_open(&s, c->r, m->host, NULL, m->device[i], true, e) < 0 || scan_search(&s, &q, e) < 0)
		return -1;
	if (!(x = only(&s)))
		return err_set(e, ERR_UNVERIFIED, "host %s: %s: %s", m->host, m->device[i], *s.why_none ? s.why_none : "no medium");
	if (same_medium(m, i, &x->medium, e) < 0)
		return -1;
	return take(c, m, x, e);
}

static int search_medium(const struct clearing *c, struct clearing_medium *m, const uint8_t *seed, struct err *e)
{
	m->measure = (struct clear_measure){ .raw = m->known_again, .direct = true, .full = m->reads == 0, .blind = m->blind, .guest = m->guest };
	for (size_t i = 0; i < m->ndevices; i++) {
		if (search_device(c, m, i, seed, e) == 0)
			continue;
		if (e->class != ERR_UNVERIFIED)
			return -1;
		/* What could not be read to its end is told as that. */
		log_warn("%s", e->text);
		m->measure.raw = false;
		err_clear(e);
	}
	log_info("search of %s:%s: %" PRIu64 " bytes read, %" PRIu64 " hits, %" PRIu64 " in names", m->host, m->device[0], m->bytes_read,
	    m->measure.hits, m->names);
	return 0;
}

int clearing_search(struct clearing *c, struct err *e)
{
	uint8_t seed[DIGEST_LEN], commitment[DIGEST_LEN];

	if (clearing_seed(c, seed, commitment, e) < 0)
		return -1;
	for (size_t i = 0; i < c->nmedia; i++)
		/* What went with its device was compared byte by byte; the file system is unmounted, its device may be gone. */
		if (c->media[i].ndevices && !c->media[i].covered && search_medium(c, &c->media[i], seed, e) < 0)
			return -1;
	return 0;
}

/* ---- record ---- */

/* What one medium showed, under the words of the certificate. */
static void record_medium(const struct clearing *c, const struct clearing_medium *m, json_t *out[5])
{
	double kept = witness_miss_kept(c->w->set->shift, CLEARING_RESIDUE), reads = m->reads ? witness_miss_reads(m->size, CLEARING_RESIDUE, m->reads) : 0.0;
	json_t *device = json_object_get(json_array_get(m->rows, 0), "device");

	(void)json_array_append_new(out[0], json_pack("{s:s,s:O,s:O,s:b,s:s}", "host", m->host, "device", device, "control", m->control, "blind",
	    m->blind, "reason", m->reason));
	if (m->covered)		/* read back byte by byte: see its item */
		return;
	(void)json_array_append_new(out[1], json_pack("{s:s,s:O,s:I,s:I,s:I}", "host", m->host, "device", device, "planted", (json_int_t)m->planted,
	    "seen_before", (json_int_t)m->seen, "spread_bytes", (json_int_t)m->spread));
	(void)json_array_append_new(out[2], json_pack("{s:s,s:O,s:I,s:I,s:I,s:I,s:O,s:I,s:O,s:s}", "host", m->host, "device", device, "hits",
	    (json_int_t)m->measure.hits, "names", (json_int_t)m->names, "own_copies", (json_int_t)m->own, "places", (json_int_t)m->listed, "hit_list",
	    m->hits, "unreadable_bytes", (json_int_t)m->measure.bad, "unreadable", m->bad, "asked_before", m->settled));
	(void)json_array_append_new(out[3], json_pack("{s:s,s:O,s:I,s:f,s:I,s:b}", "host", m->host, "device", device, "bytes_read", (json_int_t)m->bytes_read, "seconds",
	    (double)(m->ns / 1000000) / 1e3, "size", (json_int_t)m->size, "whole", m->reads == 0 && m->measure.raw));
	(void)json_array_append_new(out[4], json_pack("{s:s,s:O,s:I,s:f}", "host", m->host, "device", device, "leftover_bytes", (json_int_t)CLEARING_RESIDUE,
	    "probability", kept + reads - kept * reads));
}

void clearing_search_record(const struct clearing *c, json_t *done)
{
	static const char *const keys[5] = { "control", "canaries", "residue", "coverage", "p_miss" };
	json_t *out[5], *media = json_array();
	uint8_t seed[DIGEST_LEN], commitment[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct err e = ERR_INIT;

	for (int i = 0; i < 5; i++)
		out[i] = json_array();
	for (size_t i = 0; i < c->nmedia; i++) {
		if (c->media[i].ndevices)
			record_medium(c, &c->media[i], out);
		(void)json_array_extend(media, c->media[i].rows);
	}
	for (int i = 0; i < 5; i++)
		if (json_array_size(out[i]))
			(void)json_object_set_new(done, keys[i], out[i]);
		else
			json_decref(out[i]);
	if (json_array_size(media))
		(void)json_object_set(done, "media", media);
	json_decref(media);
	if (clearing_searches(c) && clearing_seed(c, seed, commitment, &e) == 0) {
		hex_of(seed, DIGEST_LEN, hex);
		(void)json_object_set_new(done, "seed", json_string(hex));
	}
}
