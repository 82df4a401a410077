// code.js - source code in light colours, by strings, comments, numbers and a language's words.
import { el } from "./dom.js";

const MAX_COLOURED = 20000;     // characters

const C_LIKE = "auto bool break case catch char class const continue default delete do double else enum extern false final finally float for if import int interface long new null nullptr package private protected public return short signed sizeof static struct super switch this throw true try typedef unsigned using var void volatile while";
const WORDS = {
    python: "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield",
    javascript: "async await break case catch class const continue default delete do else export extends false finally for from function if import in instanceof interface let new null of return static super switch this throw true try type typeof undefined var void while yield",
    bash: "case do done elif else esac export fi for function if in local return then until while",
    r: "FALSE NA NULL TRUE break else for function if in next repeat return while",
    octave: "break case catch do else elseif end endfor endfunction endif endwhile for function if otherwise return switch try until while",
    ruby: "and begin break case class def do else elsif end ensure false for if in module next nil not or require rescue return self super then true unless until when while yield",
    lua: "and break do else elseif end false for function goto if in local nil not or repeat return then true until while",
    go: "break case chan const continue default defer else fallthrough false for func go goto if import interface map nil package range return select struct switch true type var",
    rust: "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self static struct super trait true type unsafe use where while",
    perl: "else elsif for foreach if last my next our package print return sub unless until use while",
    php: "echo else elseif false for foreach function if new null return true use while",
    tcl: "else elseif for foreach if proc puts return set while",
    fortran: "call do else end function if implicit integer none print program real subroutine then write",
};
WORDS.typescript = WORDS.javascript;
WORDS.c = WORDS["c++"] = WORDS.cpp = WORDS.java = C_LIKE;

const STRINGS = String.raw`"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:[^"\\\n]|\\[^])*"?|'(?:[^'\\\n]|\\[^])*'?`;
const COMMENTS = { "//": String.raw`\/\/.*|\/\*[^]*?(?:\*\/|$)`, "#": "#.*", "--": "--.*", "%": "[%#].*", "!": "!.*" };
const COMMENT_OF = { lua: "--", octave: "%", fortran: "!" };
const patterns = new Map();

function patternOf(language) {
    if (!patterns.has(language)) {
        const hash = /^(python|bash|r|ruby|perl|tcl|php)$/.test(language);
        const comment = COMMENTS[COMMENT_OF[language] ?? (hash ? "#" : "//")];
        const tick = /^(javascript|typescript|go)$/.test(language) ? "|`(?:[^`\\\\]|\\\\[^])*`?" : "";
        patterns.set(language, new RegExp([`(?<com>${comment})`, `(?<str>\\b[rbfuRBFU]{0,2}(?=["'])(?:${STRINGS}))`, `(?<str2>${STRINGS}${tick})`,
            `(?<kw>\\b(?:${WORDS[language].replaceAll(" ", "|")})\\b)`, String.raw`(?<num>\b\d[\w.]*)`, String.raw`[A-Za-z_]\w*`].join("|"), "g"));
    }
    return patterns.get(language);
}

// Nodes and strings for the code.
export function codeNodes(code, language = "python") {
    const name = language.toLowerCase();
    if (code.length > MAX_COLOURED || !WORDS[name])
        return [code];
    const nodes = [];
    let from = 0;
    for (const match of code.matchAll(patternOf(name))) {
        const kind = Object.keys(match.groups).find((group) => match.groups[group] !== undefined);
        if (!kind)
            continue;
        nodes.push(code.slice(from, match.index), el("span", { class: kind.replace("2", ""), text: match[0] }));
        from = match.index + match[0].length;
    }
    return [...nodes, code.slice(from)];
}
