// Looks at a console as a person does, and prints what it saw as JSON.
//
//	node browse.mjs <modules> <chromium> <url> <directory for screenshots>
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, executablePath, url, shots] = process.argv.slice(2);
const { chromium } = createRequire(modules + "/x.js")("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
const saw = { complaints: [], views: {} };

async function look(name, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", m => { if (["error", "warning"].includes(m.type())) saw.complaints.push(`${name}: ${m.text()}`); });
  page.on("pageerror", e => saw.complaints.push(`${name}: ${e.message}`));
  page.on("request", r => { if (!r.url().startsWith(url)) saw.complaints.push(`${name}: asks ${r.url()}`); });
  await page.goto(url);
  await page.fill("#token", process.env.CONSOLE_TOKEN);
  await page.click("button");
  await page.waitForSelector(".tiles");
  const height = await page.$$eval(".plot rect", all => Math.max(...all.map(r => r.getBoundingClientRect().height)));
  saw.views[name] = {
    title: await page.title(), text: await page.innerText("body"), bars: height,
    wide: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
    scripts: await page.evaluate(() => document.scripts.length), hijacked: await page.evaluate(() => window.hijacked === true),
    cookie: await page.evaluate(() => document.cookie),
  };
  await page.screenshot({ path: `${shots}/${name}.png` });
  return page;
}

await look("dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" });
await look("phone", { viewport: { width: 390, height: 844 } });
const page = await look("light", { viewport: { width: 1280, height: 900 } });
console.log("ready"); // the test records one more call, and says so
const lines = createInterface({ input: process.stdin });
await new Promise(done => lines.once("line", done));
lines.close();
process.stdin.destroy(); // or it would be waited for at the end
await page.waitForFunction(() => document.body.innerText.includes("came_later"), null, { timeout: 20_000 });
await page.click("text=came_later");
saw.filtered = await page.innerText("body");
await page.click("text=log out");
saw.after = page.url();
await browser.close();
console.log(JSON.stringify(saw));
