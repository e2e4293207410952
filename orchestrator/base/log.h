/*
 * log - what happened, for people: stderr by level, and everything to the workspace's log file.
 *
 * The text is escaped here once more (newlines apart), so that a message can never drive a terminal.
 * Thread-safe: one line is one write.
 */
#ifndef LOG_H
#define LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines up to level go to stderr (default LOG_WARN).  file_fd (borrowed, or -1) receives all of them with time stamps. */
void log_setup(enum log_level level, int file_fd);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Called before a line goes to the terminal, so that a progress bar can be cleared and redrawn; may be NULL. */
void log_set_hook(void (*before)(void *ctx), void *ctx);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
