/* What the ledger is told of whole devices, and what their read-back allows to say. */
#include <string.h>

#include "clearing_device.h"
#include "places.h"

static enum verdict best(const struct clearing_device *x)
{
	return x->facts.flags & MSG_WIPE_GUEST ? VERDICT_CLEARED_GUEST_LEVEL : VERDICT_CLEARED_FULL;
}

/* By what was read back, all of it, past the page cache; what a device says of itself proves nothing. */
static enum verdict of_reading(const struct clearing_device *x)
{
	bool image = !(x->facts.flags & MSG_WIPE_BLOCK);

	if (!x->wiped || x->bad || x->area == 0 || x->pattern + x->zero + x->other != x->area)
		return VERDICT_UNKNOWN;
	/* Nothing was written: what is there may be what was there, or zeros that always were. */
	if (x->sanitized && !x->reported)
		return VERDICT_UNKNOWN;
	if (x->other)	/* sanitized: what a device leaves behind is its own pattern */
		return x->sanitized ? VERDICT_PERFORMED_NOT_PROVABLE : VERDICT_UNKNOWN;
	if (x->crypto)
		return x->zero ? VERDICT_PERFORMED_NOT_PROVABLE : VERDICT_CRYPTO_ERASED;
	/* Zeros where a pattern was written: unmapped perhaps, not overwritten.  In an image they are holes, which were none of its blocks. */
	return x->zero && !x->sanitized && !image ? VERDICT_PERFORMED_NOT_PROVABLE : best(x);
}

/* The blocks of an image are another file system's: what that may have kept elsewhere is looked for there. */
enum verdict clearing_device_verdict(const struct clearing *c, const struct clearing_device *x)
{
	const struct clearing_medium *m = x->beneath && x->beneath <= c->nmedia ? &c->media[x->beneath - 1] : NULL;
	enum verdict v = of_reading(x);
	struct clear_measure measure;
	const char *why;

	if (x->facts.flags & MSG_WIPE_BLOCK)
		return v;
	if (!m || !m->ndevices)
		return verdict_worst(v, VERDICT_PERFORMED_NOT_PROVABLE);
	measure = m->measure;
	measure.gone = x->wiped;
	return verdict_worst(v, clear_measure_verdict(&measure, &why));
}

static bool covers(const struct clearing_device *x, const char *dataset)
{
	json_t *v;
	size_t i;

	json_array_foreach(x->datasets, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), dataset) == 0)
			return true;
	return false;
}

const struct clearing_device *clearing_device_of(const struct clearing *c, size_t dataset)
{
	for (size_t k = 0; k < c->ndevices; k++)
		if (covers(&c->devices[k], c->v[dataset].d->name))
			return &c->devices[k];
	return NULL;
}

json_t *clearing_devices_json(const struct clearing *c)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->ndevices; i++) {
		const struct clearing_device *x = &c->devices[i];
		char shown[PLACE_NAME];

		(void)json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:I,s:O,s:s,s:s,s:I}", "host", x->d.at.host, "device",
		    place_name(x->d.at.host, x->d.at.path, shown), "serial", x->facts.serial, "serial_source", "sysfs of the host", "model", x->facts.model,
		    "storage", x->facts.storage, "size", (json_int_t)x->facts.size, "sector", (json_int_t)x->facts.sector, "method", x->method,
		    "luks_header_bytes", (json_int_t)x->facts.luks, "datasets", x->datasets, "where",
		    x->facts.where, "head_sha256", x->facts.head, "lies_on_medium", (json_int_t)x->beneath));
	}
	return rows;
}

static void add(json_t *l, bool holds, const char *text)
{
	if (holds)
		(void)json_array_append_new(l, json_string(text));
}

static json_t *limits(const struct clearing *c, const struct clearing_device *x)
{
	bool image = !(x->facts.flags & MSG_WIPE_BLOCK);
	json_t *l = clearing_storage_limits(x->facts.storage, (x->facts.flags & MSG_WIPE_GUEST) != 0, (x->facts.flags & MSG_WIPE_FLASH) != 0);

	add(l, x->bad > 0, "Parts of the medium could not be read: they are listed and count as not cleared.");
	add(l, x->crypto, "Crypto erasure was performed; its effectiveness depends on the custody of header backups and further copies of the keys.");
	add(l, x->crypto, "Whether the volume was encrypted from its first write on is not known to waybill.");
	add(l, x->sanitized && !x->reported, "The device did not report that its sanitize command is complete; nothing else was written to it.");
	add(l, x->sanitized && x->reported, "The device reports that its sanitize command is complete; that is a statement of the device.");
	add(l, !x->crypto && !x->sanitized, "Areas that the device hides from its block interface (remapped sectors, HPA, DCO) were not reached.");
	add(l, x->zeroed > 0 || (x->zero > 0 && !image), "Parts took no pattern and read as zeros: they may be unmapped by the device rather than overwritten.");
	add(l, image && (!x->beneath || !c->media[x->beneath - 1].ndevices), "The device is an image file, and the medium on which it lies was not searched: what its "
	    "file system keeps elsewhere is not known.");
	add(l, strstr(x->facts.storage, "loop") != NULL, "The device is a loop device: what the file system of its file keeps elsewhere was not reached.");
	return l;
}

const char *clearing_device_class(const struct clearing_device *x)
{
	return x->crypto ? "Crypto erase (key slots and both headers overwritten)" : x->sanitized ?
	    x->reported ? "Sanitize technique reported complete by the device" : "Sanitize technique, not reported complete by the device" :
	    "Clear (overwriting through the block interface)";
}

static json_t *item(const struct clearing *c, const struct clearing_device *x)
{
	char shown[PLACE_NAME];
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:I,s:i,s:s}", "what", place_name(x->d.at.host, x->d.at.path, shown), "host",
	    x->d.at.host, "serial", x->facts.serial, "serial_source", "sysfs of the host", "model", x->facts.model, "storage", x->facts.storage, "size",
	    (json_int_t)x->facts.size, "area", (json_int_t)x->area, "class", clearing_device_class(x), "method", x->method, "bytes", (json_int_t)x->written, "passes", 1,
	    "verdict", verdict_name(clearing_device_verdict(c, x)));

	(void)json_object_set_new(j, "read_back", json_pack("{s:I,s:I,s:I,s:I}", "pattern", (json_int_t)x->pattern, "zero", (json_int_t)x->zero, "other",
	    (json_int_t)x->other, "unreadable", (json_int_t)x->bad));
	if (x->bad)
		(void)json_object_set_new(j, "first_unreadable_byte", json_integer((json_int_t)x->bad_at));
	if (*x->device_says)
		(void)json_object_set_new(j, "device_says", json_string(x->device_says));
	if (x->crypto)
		(void)json_object_set_new(j, "custody", json_string("a saved header with its passphrase would still open the volume; key copies are not known to waybill"));
	(void)json_object_set_new(j, "limits", limits(c, x));
	return j;
}

void clearing_devices_items(const struct clearing *c, json_t *items)
{
	for (size_t i = 0; i < c->ndevices; i++)
		(void)json_array_append_new(items, item(c, &c->devices[i]));
}
