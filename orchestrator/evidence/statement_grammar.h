/* statement_grammar - the lines of a statement in their order (waybill-evidence.5), for its writer and its reader. */
#ifndef STATEMENT_GRAMMAR_H
#define STATEMENT_GRAMMAR_H

#include <stdbool.h>

#define STATEMENT_FIRST "waybill-statement 1"
#define STATEMENT_SEPARATOR "======== 以下为所签内容 / what is signed for ========"

enum statement_line {
	LINE_NAMESPACE, LINE_PERSON, LINE_NAME, LINE_PARTY, LINE_VERDICT, LINE_AT, LINE_NOT_BEFORE, LINE_NOT_AFTER,
	LINE_REASON, LINE_ATTACHED, LINE_BASIS,
	LINE_PLAN, LINE_PLAN_DIGEST, LINE_KIND, LINE_TITLE, LINE_STAGE, LINE_ROUND, LINE_WINDOW, LINE_PACKAGE,
	LINE_DATASET, LINE_METHOD, LINE_REQUIRE, LINE_RETAIN, LINE_OPERATOR, LINE_VERIFIER, LINE_SCOPE,
	LINE_SCOPE_ITEM, LINE_DISCARD, LINE_SKIPPED, LINE_SKIPPED_MORE, LINE_COPY,
	LINE_COUNT
};
#define LINE_FIRST_OF_BASIS LINE_PLAN

enum statement_times { ONCE, MAYBE, MANY };		/* exactly one, at most one, any number */
enum statement_form { FORM_TEXT, FORM_NAME, FORM_DIGEST, FORM_NUMBER, FORM_TIME, FORM_ATTACHED, FORM_DATASET, FORM_PLACE_REASON,
	FORM_MORE };

struct statement_rule {
	const char *label, *key;
	enum statement_times times;
	enum statement_form form;
};
extern const struct statement_rule statement_rules[LINE_COUNT];

/* package, accept, clear */
bool statement_has_datasets(const char *stage);

#endif
