"""languages.py - code in every language of kernelspecs/ but Python, and which of these are tested.

TCI_TEST_LANGUAGES: names separated by commas, or all; what is not named is skipped.  Without it, those that cost little
and are on every machine that builds this.  A language that is named and not installed is a failure, not a skip.
"""
import dataclasses
import json
import os

import pytest

from harness import SOURCE_DIR

CHEAP = ("bash", "c", "perl")


@dataclasses.dataclass
class Language:
    """A value of None: the language has no such thing."""
    hello: str                # prints "hello"
    fails: str                # is an error ...
    ename: str                # ... of this name
    forever: str              # waits until it is interrupted
    invalid: str = None       # is no program of the language: CompileError
    keep: str = None          # keeps 41 under a name; None: there is no state between cells
    kept: str = None          # prints or shows what is kept, and one more
    writes: str = None        # writes "err" to standard error
    reads: str = None         # prints what it reads from standard input, in brackets
    plot: str = None
    completes: tuple = None   # the beginning of something, and the whole


def _c(body, head=""):
    return f"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n{head}\nint main(void)\n{{\n{body}\n}}\n"


def _go(body, *packages):
    return "package main\n\nimport (\n" + "".join(f'\t"{p}"\n' for p in packages) + f")\n\nfunc main() {{\n{body}\n}}\n"


def _java(body):
    return f"public class Main {{\n    public static void main(String[] args) throws Exception {{\n{body}\n    }}\n}}\n"


def _rust(body):
    return f"fn main() {{\n{body}\n}}\n"


LANGUAGES = {
    "bash": Language(
        hello="echo hello", fails="(exit 3)", ename="ExitStatus", forever="sleep 600", keep="kept=41",
        kept="echo $((kept + 1))", writes="echo err >&2", reads='IFS= read -r line; echo "[$line]"',
        completes=("printf x; ech", "printf x; echo")),
    "c": Language(
        hello=_c('puts("hello");'), fails=_c("abort();"), ename="SIGABRT", forever=_c("for (;;) pause();"),
        invalid=_c("return nonsense;"), writes=_c('fputs("err\\n", stderr);'),
        reads=_c('char line[99] = ""; if (fgets(line, 99, stdin)) {} line[strcspn(line, "\\n")] = 0; '
                 'printf("[%s]\\n", line);', "#include <string.h>")),
    "cpp": Language(
        hello='#include <iostream>\nint main() { std::cout << "hello\\n"; }\n', fails="int main() { return 3; }",
        ename="ExitStatus", forever="#include <unistd.h>\nint main() { for (;;) pause(); }\n", invalid="int main( {}",
        writes='#include <iostream>\nint main() { std::cerr << "err\\n"; }\n',
        reads='#include <iostream>\n#include <string>\nint main() { std::string s; std::getline(std::cin, s); '
              'std::cout << "[" << s << "]\\n"; }\n'),
    "fortran": Language(
        hello="print '(a)', 'hello'\nend\n", fails="stop 3\nend\n", ename="ExitStatus",
        forever="do\n  call sleep(1)\nend do\nend\n", invalid="nonsense\nend\n",
        writes="write (0, '(a)') 'err'\nend\n",
        reads="character(9) :: s = ''\ninteger :: e\nread (*, '(a)', iostat=e) s\nprint '(3a)', '[', trim(s), ']'\nend\n"),
    "go": Language(
        hello=_go('fmt.Println("hello")', "fmt"), fails=_go("os.Exit(3)", "os"), ename="ExitStatus",
        forever=_go("time.Sleep(time.Hour)", "time"), invalid=_go("nonsense()"),
        writes=_go('fmt.Fprintln(os.Stderr, "err")', "fmt", "os"),
        reads=_go('s, _ := bufio.NewReader(os.Stdin).ReadString(10)\nfmt.Printf("[%s]\\n", strings.TrimSpace(s))',
                  "bufio", "fmt", "os", "strings")),
    "java": Language(
        hello=_java('System.out.println("hello");'), fails=_java("System.exit(3);"), ename="ExitStatus",
        forever=_java("Thread.sleep(1000000);"),
        writes=_java('System.err.println("err");'),
        reads=_java('var s = new java.util.Scanner(System.in); '
                    'System.out.println("[" + (s.hasNextLine() ? s.nextLine() : "") + "]");')),
    "javascript": Language(
        hello='console.log("hello")', fails='throw new TypeError("no")', ename="TypeError",
        forever="await new Promise(() => setInterval(() => {}, 1000))", keep="const kept = 41", kept="kept + 1",
        writes='console.error("err")', completes=("Math.ma", "Math.max")),
    "typescript": Language(
        hello='const s: string = "hello"; console.log(s)', fails='throw new TypeError("no")', ename="TypeError",
        forever="await new Promise(() => setInterval(() => {}, 1000))", keep="let kept: number = 41", kept="kept + 1",
        writes='console.error("err")', completes=("Math.ma", "Math.max")),
    "lua": Language(
        hello="print('hello')", fails="error('no')", ename="ExitStatus", forever="while true do end",
        writes="io.stderr:write('err\\n')", reads="print('[' .. (io.read() or '') .. ']')"),
    "octave": Language(
        hello="disp('hello')", fails="error('no')", ename="error", forever="pause(600)", keep="kept = 41;", kept="kept + 1",
        writes="fprintf(stderr, 'err\\n')",
        plot="plot([1 2 3])"),
    "perl": Language(
        hello='print "hello\\n";', fails="die 'no';", ename="ExitStatus", forever="sleep 600;",
        writes='print STDERR "err\\n";', reads='my $l = <STDIN> // ""; chomp $l; print "[$l]\\n";'),
    "php": Language(
        hello="hello\n", fails="<?php exit(3);", ename="ExitStatus", forever="<?php sleep(600);",
        writes='<?php fwrite(STDERR, "err\\n");', reads='<?php echo "[" . trim((string) fgets(STDIN)) . "]\\n";'),
    "r": Language(
        hello='cat("hello\\n")', fails='stop("no")', ename="ERROR", forever="Sys.sleep(600)", keep="kept <- 41",
        kept="kept + 1", writes='write("err", stderr())', plot="plot(1:3)", completes=("x <- summ", "x <- summary")),
    "ruby": Language(
        hello="puts 'hello'", fails="raise 'no'", ename="ExitStatus", forever="sleep", writes="warn 'err'",
        reads="puts \"[#{gets&.chomp}]\""),
    "rust": Language(
        hello=_rust('println!("hello");'), fails=_rust("std::process::exit(3);"), ename="ExitStatus",
        forever=_rust("loop { std::thread::sleep(std::time::Duration::from_secs(9)); }"), invalid=_rust("nonsense();"),
        writes=_rust('eprintln!("err");'),
        reads=_rust('let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap(); '
                    'println!("[{}]", s.trim());')),
    "tcl": Language(
        hello="puts hello", fails="error no", ename="ExitStatus", forever="while 1 {after 1000}",
        writes="puts stderr err", reads='gets stdin line; puts "\\[$line\\]"'),
}


def kernel_json(name):
    with open(os.path.join(SOURCE_DIR, "kernelspecs", name, "kernel.json"), encoding="utf-8") as f:
        return json.load(f)


def skip_unless_tested(name):
    named = os.environ.get("TCI_TEST_LANGUAGES", "")
    chosen = CHEAP if not named else tuple(LANGUAGES) if named == "all" else tuple(named.split(","))
    if name not in chosen:
        pytest.skip(f"{name} is not in TCI_TEST_LANGUAGES")
    missing = [path for path in kernel_json(name)["metadata"]["tci"]["needs"] if not os.path.exists(path)]
    assert not missing, f"{name} is not installed ({missing}): sh start.sh --with {name}"
