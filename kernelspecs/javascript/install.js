// install.js - npm packages, installed for a session by Deno: what metadata.tci.packages of kernel.json calls.
//
//     install.js TARGET [--dir DIRECTORY] [--index URL] -- NAME[VERSIONS]...
//
// TARGET/node_modules is made.  DIRECTORY has tarballs as `npm pack` makes them; a registry of our own on the loopback
// interface serves them, and passes on what it does not have.  No package's code runs: Deno leaves out their scripts.

const temporary = Deno.env.get("TMPDIR");
const project = `${temporary}/project`;
const here = "127.0.0.1";

function fail(message) {
  console.error(message);
  Deno.exit(1);
}

function parse([target, ...rest]) {
  const end = rest.indexOf("--");
  const option = (name) => rest[rest.slice(0, end).indexOf(name) + 1 || end];
  const given = (name) => rest.slice(0, end).includes(name) ? option(name) : undefined;
  return { target, dir: given("--dir"), index: given("--index")?.replace(/\/+$/, ""), wanted: rest.slice(end + 1) };
}

// name>=1,<2 as package.json has it: [name, ">=1 <2"].
function dependency(requirement) {
  const [, name, versions] = requirement.match(/^([^[=<>~!]+)(.*)$/);
  const parts = versions === "" ? [] : versions.split(",").map((part) => {
    const [, operator, version] = part.match(/^([=<>~!]*)(.*)$/);
    if (!["==", ">=", "<=", ">", "<"].includes(operator)) fail(`${requirement}: of npm packages ==, >=, <=, > and < can be asked for`);
    return operator === "==" ? version : operator + version;
  });
  return [name, parts.join(" ") || "latest"];
}

// --- the registry of a directory

async function packageJson(path) {
  const { success, stdout } = await new Deno.Command("tar", { args: ["-xzOf", path, "package/package.json"], stderr: "null" }).output();
  try {
    return success ? JSON.parse(new TextDecoder().decode(stdout)) : {};
  } catch {
    return {};
  }
}

async function integrityOf(path) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", Deno.readFileSync(path)));
  return `sha512-${hash.toBase64()}`;
}

// What the registry says of a package; undefined: the directory has none of that name.
async function describe(dir, name, origin) {
  const prefix = name.replace(/^@/, "").replace("/", "-") + "-";
  const versions = {};
  for (const { name: file } of Deno.readDirSync(dir)) {
    if (!file.startsWith(prefix) || !file.endsWith(".tgz")) continue;
    const about = await packageJson(`${dir}/${file}`);
    if (about.name !== name || typeof about.version !== "string") continue;
    const dist = { tarball: `${origin}/-/${encodeURIComponent(file)}`, integrity: await integrityOf(`${dir}/${file}`) };
    versions[about.version] = { ...about, dist };
  }
  const all = Object.keys(versions).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const latest = all.findLast((version) => !version.includes("-")) ?? all.at(-1);
  return latest && { name, "dist-tags": { latest }, versions };
}

async function answer(request, { dir, index }) {
  const { origin, pathname } = new URL(request.url);
  const path = decodeURIComponent(pathname.slice(1));
  if (path.startsWith("-/")) return new Response(Deno.readFileSync(`${dir}/${path.slice(2).replaceAll("/", "")}`));
  const found = await describe(dir, path, origin);
  if (found) return Response.json(found);
  return index ? await fetch(index + pathname, { headers: { accept: request.headers.get("accept") ?? "*/*" } }) : new Response("", { status: 404 });
}

// The URL of the registry that Deno is to ask.
function registry(options) {
  if (options.dir === undefined) return `${options.index}/`;
  const server = Deno.serve({ hostname: here, port: 0, onListen() {} }, (request) => answer(request, options));
  return `http://${here}:${server.addr.port}/`;
}

// --- installed

// What is only Deno's own, or the project's, goes: another installation may come to stand beside this one.
function removeTraces() {
  const own = `${project}/node_modules/.deno`;
  for (const { name } of Deno.readDirSync(own)) {
    if (name.startsWith(".") || name.startsWith("project@")) Deno.removeSync(`${own}/${name}`, { recursive: true });
  }
}

async function install(options) {
  const dependencies = Object.fromEntries(options.wanted.map(dependency));
  Deno.mkdirSync(project);
  Deno.writeTextFileSync(`${project}/package.json`, JSON.stringify({ name: "project", dependencies }));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet", "--no-lock", "--node-modules-dir=auto"],
    cwd: project,
    env: { DENO_DIR: `${temporary}/deno`, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", NO_PROXY: here, NPM_CONFIG_REGISTRY: registry(options) },
    stdin: "null",
    stdout: "inherit",
  }).output();
  if (code !== 0) fail(new TextDecoder().decode(stderr).replace(/\s*Stack backtrace:[^]*/, ""));
  removeTraces();
  Deno.renameSync(`${project}/node_modules`, `${options.target}/node_modules`);
  for (const name of Object.keys(dependencies)) {
    const { version } = JSON.parse(Deno.readTextFileSync(`${options.target}/node_modules/${name}/package.json`));
    console.log(`Installed ${name} ${version}`);
  }
  Deno.exit(0);
}

await install(parse(Deno.args));
