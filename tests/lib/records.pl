# records.pl PORT-FILE SOCKET-DIR UPLOADS - the application of a test: records of a database and their files, over HTTP on 127.0.0.1.
#
#   GET /app/owner/ID    name and balance of an owner, from the database wxzj
#   GET /app/add         a new attachment: a file in UPLOADS, then its row and a payment; answers with its number
#
# One request at a time; the port that it got is written to PORT-FILE.
use strict;
use warnings;
use IO::Socket::INET;

my ($portfile, $socket, $uploads) = @ARGV;
@ENV{qw(PGHOST PGUSER PGDATABASE)} = ($socket, 'app', 'wxzj');

sub sql {
	open(my $out, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', $_[0]) or return;
	my $answer = join '', <$out>;
	close($out) or return;
	chomp $answer;
	return $answer;
}

sub add {
	my $id = sql("SELECT nextval('attachment_id_seq')") or return;
	open(my $f, '>', "$uploads/new/$id.pdf") or return;
	print $f "attachment $id\n" x 300;
	close($f) or return;
	return sql("BEGIN; INSERT INTO attachment VALUES ($id, 'new/$id.pdf', 17);
		INSERT INTO txn (account, amount) VALUES (17, 0.01); COMMIT; SELECT $id");
}

my $listen = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no port: $!";
open(my $f, '>', "$portfile.new") or die; print $f $listen->sockport; close($f) or die; rename("$portfile.new", $portfile) or die;
while (my $c = $listen->accept) {
	my $line = <$c> // '';
	while (defined(my $h = <$c>)) { last if $h =~ /^\r?\n$/ }
	my $answer = $line =~ m{^GET /app/owner/(\d+) } ? sql("SELECT name || ' ' || sum(amount) FROM owner JOIN txn ON account = owner.id WHERE owner.id = $1 GROUP BY name")
		: $line =~ m{^GET /app/add } ? add() : undef;
	print $c defined $answer && $answer ne '' ? "HTTP/1.0 200 OK\r\n\r\n$answer\n" : "HTTP/1.0 500 Error\r\n\r\nno answer\n";
	close($c);
}
