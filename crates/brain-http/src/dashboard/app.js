// Fetches the page again when something happened in its swarm, and puts the parts that changed in place. Everything it shows was made
// and escaped by the server.
"use strict";
(() => {
    const body = document.body.dataset;
    const status = document.getElementById("live-status");
    const pause = document.getElementById("live-pause");
    if (!body.live || !status || !pause) return;

    const pace = 1000 * Number(body.pace || 1);
    let source = null;
    let paused = false;
    let timer = null;
    let last = 0;

    const say = (text) => {
        if (status.textContent !== text) status.textContent = text;
    };

    // What a person is at must be there again afterwards.
    const focused = (part) => {
        const active = document.activeElement;
        if (!active || !part.contains(active)) return null;
        if (active.id) return `#${CSS.escape(active.id)}`;
        const href = active.getAttribute("href");
        return href ? `a[href="${CSS.escape(href)}"]` : null;
    };

    // A part in which somebody is typing or selecting waits.
    const isBusy = (part) => {
        const active = document.activeElement;
        const typing = active && part.contains(active) && active.matches("input, textarea, select");
        const selection = document.getSelection();
        const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
        return typing || selecting;
    };

    const replace = (fresh) => {
        for (const part of document.querySelectorAll("[data-part]")) {
            const other = fresh.getElementById(part.id);
            if (!other || isBusy(part)) continue;
            for (const open of part.querySelectorAll("details[open][id]")) {
                const same = other.querySelector(`#${CSS.escape(open.id)}`);
                if (same) same.open = true;
            }
            if (other.innerHTML === part.innerHTML) continue;
            const focus = focused(part);
            const across = part.querySelector(".scroll");
            const left = across ? across.scrollLeft : 0;
            part.replaceChildren(...document.importNode(other, true).childNodes);
            const again = part.querySelector(".scroll");
            if (again) again.scrollLeft = left;
            if (focus) part.querySelector(focus)?.focus({ preventScroll: true });
        }
    };

    const refresh = async () => {
        timer = null;
        last = Date.now();
        try {
            const answer = await fetch(location.href, { redirect: "manual" });
            if (answer.type === "opaqueredirect") return location.reload();
            if (!answer.ok) return say("The page cannot be updated at the moment.");
            const html = await answer.text();
            if (paused) return;
            replace(new DOMParser().parseFromString(html, "text/html"));
            if (source && source.readyState === EventSource.OPEN) say("Live updates are on.");
        } catch {
            say("The connection is lost; trying again.");
        }
    };

    const soon = () => {
        if (timer || paused) return;
        timer = setTimeout(refresh, Math.max(150, last + pace - Date.now()));
    };

    const close = () => {
        source?.close();
        source = null;
        clearTimeout(timer);
        timer = null;
    };

    const open = () => {
        if (source || paused || document.hidden) return;
        source = new EventSource(body.live);
        source.onopen = () => {
            say("Live updates are on.");
            // Something may have happened since the page was made.
            soon();
        };
        source.onmessage = soon;
        source.addEventListener("end", () => {
            // The server stops, or the session is over: what the page says next tells which.
            close();
            setTimeout(() => {
                refresh();
                open();
            }, 2000);
        });
        source.onerror = () => {
            say("The connection is lost; trying again.");
            if (source && source.readyState === EventSource.CLOSED) {
                close();
                setTimeout(() => {
                    refresh();
                    open();
                }, 5000);
            }
        };
    };

    pause.hidden = false;
    pause.addEventListener("click", () => {
        paused = !paused;
        pause.textContent = paused ? "Resume live updates" : "Pause live updates";
        if (paused) {
            close();
            say("Live updates are paused.");
        } else {
            open();
        }
    });
    // A page that nobody sees needs no connection.
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    if (body.poll) setInterval(() => !document.hidden && soon(), 1000 * Number(body.poll));
    open();
})();
