/*
 * Debian's libarchive.a keeps all writers in one table, which drags xar, libxml2 and ICU into a static link.  The agent only
 * needs pax; these stand in for the writers that have foreign dependencies, so the linker never takes the real ones.
 */
struct archive;

#define FATAL (-30)		/* ARCHIVE_FATAL */

int archive_write_set_format_xar(struct archive *a);
int archive_write_set_format_7zip(struct archive *a);
int archive_write_set_format_zip(struct archive *a);
int archive_write_set_format_iso9660(struct archive *a);
int archive_write_set_format_mtree(struct archive *a);
int archive_write_set_format_mtree_classic(struct archive *a);

int archive_write_set_format_xar(struct archive *a) { (void)a; return FATAL; }
int archive_write_set_format_7zip(struct archive *a) { (void)a; return FATAL; }
int archive_write_set_format_zip(struct archive *a) { (void)a; return FATAL; }
int archive_write_set_format_iso9660(struct archive *a) { (void)a; return FATAL; }
int archive_write_set_format_mtree(struct archive *a) { (void)a; return FATAL; }
int archive_write_set_format_mtree_classic(struct archive *a) { (void)a; return FATAL; }
