// theme.js - light or dark, as the system or as chosen.  Runs before anything is drawn, so that the page does not flash.
"use strict";

const theme = {
    choices: ["auto", "light", "dark"],
    system: matchMedia("(prefers-color-scheme: dark)"),
    choice: "auto",

    load() {
        try {
            const kept = localStorage.getItem("tci-theme");
            if (this.choices.includes(kept))
                this.choice = kept;
        } catch { /* storage is switched off */ }
        this.apply();
        this.system.addEventListener("change", () => this.apply());
    },

    apply() {
        const dark = this.choice === "dark" || (this.choice === "auto" && this.system.matches);
        document.documentElement.dataset.theme = dark ? "dark" : "light";
        document.documentElement.dataset.themeChoice = this.choice;
        document.dispatchEvent(new Event("themechange"));
    },

    next() {
        this.choice = this.choices[(this.choices.indexOf(this.choice) + 1) % this.choices.length];
        try {
            localStorage.setItem("tci-theme", this.choice);
        } catch { /* storage is switched off */ }
        this.apply();
    },
};

theme.load();
window.theme = theme;
