/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "../lib/agent_child.h"

static char root[] = "/tmp/waybill-survey.XXXXXX";
static struct buf told;		/* KEY=value lines */

static void put(const char *path, const char *text)
{
	char full[300];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + sizeof(root); (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(full, 0755);
		*p = '/';
	}
	assert_non_null(f = fopen(full, "w"));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void ask(void)
{
	struct child c;
	struct err e = ERR_INIT;

	buf_reset(&told);
	child_start(&c, "survey", root, 0, "", 0);
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		OWN(msg_fact_dispose) struct msg_fact m = { .key = NULL };

		if (wire_recv(c.wire, WIRE_DATA, &f, &e) <= 0)
			break;
		assert_int_equal(msg_fact_decode(f.data, f.len, &m, &e), 0);
		buf_printf(&told, "%s=%s\n", m.key, m.value);
	}
	while (e.class == ERR_NONE) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if (wire_recv(c.wire, WIRE_ACK, &f, &e) <= 0)
			break;
	}
	assert_int_equal(child_reap(&c), 0);
	assert_false(told.failed);
}

static bool says(const char *line)
{
	const char *p = told.data ? strstr(told.data, line) : NULL;

	return p && (p == told.data || p[-1] == '\n') && p[strlen(line)] == '\n';
}

static void only_installed_packages_are_told_with_their_versions(void **state)
{
	(void)state;
	put("var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n"
	    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: last\nStatus: install ok installed\nVersion: 2:3~b");
	ask();
	assert_true(says("package/nginx=1.22.1-9"));
	assert_true(says("package/last=2:3~b"));
	assert_null(strstr(told.data, "package/gone"));
}

static void a_schedule_tells_its_program_and_no_argument(void **state)
{
	(void)state;
	put("etc/crontab", "SHELL=/bin/sh\n# 1 2 3 4 5 root /no\n15 3 * * 1-5\troot /usr/bin/dump --password=geheim\n@daily app /bin/x\n* * *\n");
	put("var/spool/cron/crontabs/www", "*/5 * * * * /opt/tick quiet\n");
	ask();
	assert_non_null(strstr(told.data, "schedule/etc/crontab: 15 3 * * 1-5 root /usr/bin/dump=command sha256 "));
	assert_non_null(strstr(told.data, "schedule/etc/crontab: @daily app /bin/x=command sha256 "));
	assert_non_null(strstr(told.data, "schedule/var/spool/cron/crontabs/www: */5 * * * * /opt/tick=command sha256 "));
	assert_null(strstr(told.data, "geheim"));
	assert_null(strstr(told.data, "/no"));
}

static void ports_are_what_listens_in_both_families(void **state)
{
	(void)state;
	put("proc/net/tcp", "  sl  local_address rem_address   st\n"
	    "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 x 100 0 0 10 0\n"
	    "   1: 0100007F:0051 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 78 1 x 100 0 0 10 0\n");
	put("proc/net/tcp6", "h\n   0: 00000000000000000000000000000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 79 1 x\n");
	put("proc/net/udp", "h\n   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 80 1 x\n"
	    "   1: 00000000:EA60 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 81 1 x\n");
	put("proc/42/comm", "nginx\n");
	put("proc/42/fd/none", "");
	ask();
	assert_true(says("port/tcp 127.0.0.1:80="));
	assert_true(says("port/tcp [::]:5432="));
	assert_true(says("port/udp 0.0.0.0:53="));
	assert_null(strstr(told.data, ":81="));
	assert_null(strstr(told.data, ":60000="));
}

static void accounts_units_mounts_and_settings_are_told(void **state)
{
	(void)state;
	put("etc/passwd", "app:x:1001:1002:App:/srv/app:/bin/sh\nbroken:x\n+nis::::::\n");
	put("etc/group", "app:x:1002:www,backup\n");
	put("etc/systemd/system/multi-user.target.wants/app.service", "");
	put("etc/sysctl.d/10.conf", "# no\n-vm.swappiness = 10\nfs.file-max=5\n");
	put("proc/sys/vm/swappiness", "60\n");
	put("proc/self/mounts", "/dev/vda1 /srv/a\\040b ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\nnas:/x /x nfs4 rw 0 0\n");
	put("etc/os-release", "NAME=x\nPRETTY_NAME=\"Kylin V10 (Tercel)\"\n");
	put("etc/default/locale", "LANG=zh_CN.GB18030\n");
	ask();
	assert_true(says("user/app=uid=1001 gid=1002 home=/srv/app shell=/bin/sh"));
	assert_null(strstr(told.data, "user/+nis"));
	assert_true(says("group/app=gid=1002 members=www,backup"));
	assert_true(says("unit/app.service=multi-user.target.wants"));
	assert_true(says("kernel/vm.swappiness=60"));
	assert_true(says("kernel/fs.file-max=5"));
	assert_true(says("mount//srv/a b=ext4 /dev/vda1 rw,noatime"));
	assert_true(says("mount//x=nfs4 nas:/x rw"));
	assert_null(strstr(told.data, "mount//proc"));
	assert_true(says("system/os=Kylin V10 (Tercel)"));
	assert_true(says("system/locale=zh_CN.GB18030"));
}

static void what_cannot_be_read_is_told(void **state)
{
	(void)state;
	put("etc/locale.gen/inner", "");	/* a directory where a file is expected */
	ask();
	assert_non_null(strstr(told.data, "unreadable/etc/locale.gen="));
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[100];

	(void)state;
	buf_dispose(&told);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_installed_packages_are_told_with_their_versions),
		cmocka_unit_test(a_schedule_tells_its_program_and_no_argument),
		cmocka_unit_test(ports_are_what_listens_in_both_families),
		cmocka_unit_test(accounts_units_mounts_and_settings_are_told),
		cmocka_unit_test(what_cannot_be_read_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
