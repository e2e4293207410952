/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "out.h"

#define BLOCK OUT_ALIGN
#define ROOM (OUT_DIRECT_MIN * 3)

static char dir[64];
static int top;
static uint8_t *data;		/* ROOM + BLOCK bytes, aligned */

static int setup_at(const char *template)
{
	(void)snprintf(dir, sizeof(dir), "%s", template);
	data = out_memory(ROOM + BLOCK);
	if (!data || !mkdtemp(dir) || (top = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		return -1;
	for (size_t i = 0; i < ROOM + BLOCK; i++)
		data[i] = (uint8_t)(i * 7 + i / BLOCK);
	return 0;
}

static int setup(void **state) { (void)state; return setup_at("/tmp/test-out-XXXXXX"); }
static int setup_shm(void **state) { (void)state; return setup_at("/dev/shm/test-out-XXXXXX"); }

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(top, "f", 0);
	(void)close(top);
	free(data);
	return rmdir(dir);
}

static int make(void)
{
	int fd = openat(top, "f", O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* The file holds size bytes of data from shift on; leaves fd fit for plain reading. */
static void holds(int fd, size_t size, size_t shift)
{
	uint8_t *got = malloc(size + 1);
	struct stat st;
	struct err e = ERR_INIT;

	assert_non_null(got);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, size);
	(void)out_set_direct(fd, false);
	assert_int_equal(io_pread_full("test", fd, got, size + 1, 0, "f", &e), (ssize_t)size);
	assert_memory_equal(got, data + shift, size);
	free(got);
}

static void write_in_pieces(struct out *o, const char *site, size_t size, size_t piece)
{
	struct err e = ERR_INIT;

	for (size_t at = 0; at < size; at += piece)
		assert_int_equal(out_write(o, site, data + at, size - at < piece ? size - at : piece, at, "f", &e), 0);
}

static void every_size_around_a_block_arrives(void **state)
{
	static const size_t sizes[] = { 0, 1, BLOCK, OUT_DIRECT_MIN - 1, OUT_DIRECT_MIN, OUT_DIRECT_MIN + 1, OUT_DIRECT_MIN + BLOCK - 1,
		OUT_DIRECT_MIN + BLOCK, OUT_DIRECT_MIN + BLOCK + 1, ROOM - 1, ROOM };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t piece = BLOCK; piece <= ROOM; piece *= 6) {
			OWN_FD int fd = make();
			struct out o = out_on(fd, sizes[i]);

			if (sizes[i] < OUT_DIRECT_MIN)
				assert_int_equal(o.direct, -1);
			write_in_pieces(&o, "test", sizes[i], piece);
			holds(fd, sizes[i], 0);
		}
}

/* A piece that ends within a block: what follows is written as usual. */
static void pieces_of_any_length_arrive(void **state)
{
	OWN_FD int fd = make();
	struct out o = out_on(fd, ROOM);

	(void)state;
	write_in_pieces(&o, "test", ROOM, 10000);
	assert_int_equal(o.direct, -1);
	holds(fd, ROOM, 0);
}

static void memory_off_a_block_is_written_as_usual(void **state)
{
	OWN_FD int fd = make();
	struct out o = out_on(fd, ROOM);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(out_write(&o, "test", data + 1, ROOM, 0, "f", &e), 0);
	holds(fd, ROOM, 1);
}

static void a_second_fd_leaves_the_first_alone(void **state)
{
	OWN_FD int fd = make(), second = openat(top, "f", O_WRONLY);
	struct out o = { fd, out_set_direct(second, true) ? second : -1 };

	(void)state;
	write_in_pieces(&o, "test", ROOM - 5, BLOCK * 4);
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	holds(fd, ROOM - 5, 0);
}

static void where_the_device_refuses_it_goes_as_usual(void **state)
{
	OWN_FD int fd = make();
	struct out o = out_on(fd, ROOM);

	(void)state;
	write_in_pieces(&o, "refused", ROOM, OUT_DIRECT_MIN);
	assert_int_equal(o.direct, -1);
	holds(fd, ROOM, 0);
}

static void a_full_disk_is_told(void **state)
{
	OWN_FD int fd = make();
	struct out o = out_on(fd, ROOM);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(out_write(&o, "full", data, ROOM, 0, "f", &e), -1);
	assert_int_equal(e.sys, ENOSPC);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_size_around_a_block_arrives), T(pieces_of_any_length_arrive), T(memory_off_a_block_is_written_as_usual),
		T(a_second_fd_leaves_the_first_alone),
		cmocka_unit_test_setup_teardown(every_size_around_a_block_arrives, setup_shm, teardown),
		T(where_the_device_refuses_it_goes_as_usual), T(a_full_disk_is_told),
	};

	/* The second block past the cache is refused, as by a device with larger blocks. */
	if (setenv("WAYBILL_FAULT", "write@refused:2:EINVAL,write@full:1:ENOSPC", 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
