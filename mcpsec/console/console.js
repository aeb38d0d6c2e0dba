// Shows the page anew every five seconds, while somebody looks.
"use strict";

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { "X-Console-Live": "1" } });
  if (answer.status === 401) return location.reload();
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("live").replaceChildren(...page.getElementById("live").childNodes);
  document.body.classList.remove("stale");
}

setInterval(() => refresh().catch(() => document.body.classList.add("stale")), 5000);
document.addEventListener("visibilitychange", () => refresh().catch(() => {}));
