#!/bin/bash
# A certificate in Chinese must not fall back to English for a sentence that waybill itself writes.
cd "$WAYBILL_SOURCE/orchestrator" || exit 1
perl -e '
	undef $/;
	sub text { open my $f, "<", $_[0] or die "$_[0]: $!"; my $s = <$f>; $s =~ s/"\s*\n\s*"//g; $s }
	my $words = text("evidence/certificate_words.c");
	my ($seen, $bad) = (0, 0);
	for my $file (@ARGV) {
		my $s = text($file);
		while ($s =~ /"([A-Z][^"\\%]{20,}[.])"/g) {
			$seen++;
			next if index($words, "{ \"$1\",") >= 0;
			print "FAILED: $file: no Chinese for: $1\n";
			$bad = 1;
		}
	}
	die "only $seen sentences are found: this test shows nothing\n" if $seen < 40;
	exit $bad;
' stages/clearing_limits.c stages/clearing_device_record.c evidence/certificate_paper.c
