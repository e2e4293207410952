#include "plan_file.h"

#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "io.h"
#include "log.h"

#define KEY_ROOM (PLAN_NAME_MAX + 16)
#define FILE_MAX (1u << 26)

static void key_of(const struct plan *p, char out[KEY_ROOM]) { (void)snprintf(out, KEY_ROOM, "file/%s", p->name); }

int plan_file_remember(struct workspace *w, const struct plan *p, const char *path, struct err *e)
{
	OWN_FREE char *real = realpath(path, NULL);
	char key[KEY_ROOM];

	if (!real)
		return err_sys(e, "%s", esc_s(path));
	key_of(p, key);
	return state_set(w->state, key, real, strlen(real), e);
}

int plan_file_warn(struct workspace *w, const struct plan *p, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT, text = BUF_INIT;
	struct err unread = ERR_INIT;
	char key[KEY_ROOM];

	key_of(p, key);
	if (state_get(w->state, key, &path, e) < 0 || buf_finish(&path, e) < 0)
		return -1;
	if (!path.len || io_read_file(AT_FDCWD, path.data, FILE_MAX, &text, &unread) < 0)
		return 0;
	if (text.len == p->text_len && memcmp(text.data ? text.data : "", p->text, text.len) == 0)
		return 0;
	log_warn("plan %s: %s differs from the recorded plan, which is what is run; to run the edited one: waybill run %s", p->name,
	    esc_s(path.data), esc_s(path.data));
	return 0;
}
