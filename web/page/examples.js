// examples.js - code to try, for an empty session of Python, and a first line for others.

export const HELLO = {
    bash: 'echo "hello from $SHELL"; pwd',
    c: '#include <stdio.h>\n\nint main(void)\n{\n    puts("hello");\n    return 0;\n}',
    go: 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hello")\n}',
    java: 'class Main {\n    public static void main(String[] arguments) {\n        System.out.println("hello");\n    }\n}',
    javascript: "const squares = [1, 2, 3].map((n) => n * n);\nsquares",
    typescript: "const squares: number[] = [1, 2, 3].map((n) => n * n);\nsquares",
    octave: "A = magic(4);\nsum(A)",
    r: "summary(c(1, 2, 3, 10))\nplot(1:10, (1:10)^2)",
    ruby: 'puts (1..5).map { |n| n * n }.join(" ")',
    rust: 'fn main() {\n    println!("hello");\n}',
    lua: 'print("hello")',
    perl: 'print "hello\\n";',
};

const PLOT = `import numpy as np
import matplotlib.pyplot as plt

x = np.linspace(0, 12, 600)
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for k in range(7):
    ax.plot(x, np.exp(-x / 6) * np.sin(x + k / 3), color=plt.cm.viridis(k / 7), lw=2)
ax.set_title("Damped waves")
ax.spines[["top", "right"]].set_visible(False)
plt.show()`;

const FRAME = `import pandas as pd

cities = pd.DataFrame({
    "city": ["Lisbon", "Osaka", "Quito", "Nairobi"],
    "people": [545_796, 2_753_862, 1_763_275, 4_397_073],
    "km2": [100.1, 225.3, 372.4, 696.0],
})
cities["density"] = (cities.people / cities.km2).round(1)
cities.sort_values("density", ascending=False)`;

const STREAM = `import time

for i in range(1, 41):
    print(f"\\r{'█' * i}{'░' * (40 - i)} {i * 2.5:.0f} %", end="", flush=True)
    time.sleep(0.05)
print("\\ndone")`;

const RICH = `from IPython.display import Math, Markdown, JSON, display

display(Markdown("**Markdown**, a [link](https://jupyter.org) and a formula: $e^{i\\\\pi} + 1 = 0$"))
display(Math(r"\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}"))
display(JSON({"nested": {"list": [1, 2, 3]}, "ok": True}))`;

export const EXAMPLES = [
    { name: "Plot", about: "A figure comes back as a picture", code: PLOT },
    { name: "Table", about: "The value of the last line is shown", code: FRAME },
    { name: "Stream", about: "Output as it is printed", code: STREAM },
    { name: "Input", about: "input() asks here", code: 'name = input("Your name? ")\nprint(f"Hello, {name}")' },
    { name: "Rich", about: "Markdown, formulas, JSON", code: RICH },
    { name: "Tests", about: "A run that is graded", code: "def mean(values):\n    return sum(values) / len(values)",
      tests: [{ name: "two numbers", text: "mean([1, 3]) == 2", reward: 1 }, { name: "none", kind: "code", text: "assert mean([]) == 0", reward: 2 }] },
    { name: "Error", about: "An exception with its traceback", code: "def mean(values):\n    return sum(values) / len(values)\n\nmean([])" },
];
