/* GraphiQL for Mina: a fetcher that carries the Pass, and the bar above that shows it. */
(() => {
  "use strict";

  const { endpoint, tour, admin, signOut } = JSON.parse(document.getElementById("config").textContent);
  const at = (id) => document.getElementById(id);

  // What this browser remembers: the Pass, and the generation that "latest" stands for. An admin's tabs are gone with the window.
  const memory = admin ? sessionStorage : localStorage;
  const remembered = (key) => memory.getItem(`mina:${key}`);
  const remember = (key, value) =>
    value ? memory.setItem(`mina:${key}`, value) : memory.removeItem(`mina:${key}`);

  // ---------------------------------------------------------------- speaking to the API

  /** The headers a person typed, completed by what every request needs and by the remembered Pass. */
  function complete(typed = {}) {
    const headers = new Headers(typed);
    const defaults = {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json",
      "X-Mina-Pass-Id": remembered("pass"),
      "X-Mina-Admin": admin && "1",
    };
    for (const [name, value] of Object.entries(defaults)) {
      if (value && !headers.has(name)) headers.set(name, value);
    }
    return headers;
  }

  async function post(body, typed) {
    const answer = await fetch(endpoint, { method: "POST", headers: complete(typed), body: JSON.stringify(body) });
    const minted = answer.headers.get("X-Mina-Pass-Id");
    if (minted) remember("pass", minted);
    const text = await answer.text();
    try {
      return JSON.parse(text);
    } catch {
      return failure(`${answer.status} ${answer.statusText}: ${text.slice(0, 300)}`);
    }
  }

  /** A GraphQL result over `graphql-transport-ws`, as the observable GraphiQL asks for. */
  function stream(body, typed) {
    const headers = complete(typed);
    const client = graphqlWs.createClient({
      url: new URL(endpoint, location.href).href.replace(/^http/, "ws"),
      retryAttempts: 0, // starting over would show every event twice
      connectionParams: {
        authorization: headers.get("Authorization") ?? undefined,
        "x-mina-pass-id": headers.get("X-Mina-Pass-Id") ?? undefined,
        "x-mina-admin": headers.get("X-Mina-Admin") ?? undefined,
      },
    });
    const events = []; // GraphiQL shows one result: all events so far, the newest first
    return {
      subscribe: (sink) => ({
        unsubscribe: client.subscribe(body, {
          next: (result) => {
            events.unshift(result.errors ? result : result.data);
            sink.next({ received: events.length, events });
            notice(result.data);
          },
          error: (error) => {
            sink.next({ ...failure(reason(error)), received: events.length, events });
            sink.complete();
          },
          complete: () => {
            sink.complete();
            refresh();
          },
        }),
      }),
    };
  }

  const failure = (message) => ({ errors: [{ message }] });

  function reason(error) {
    if (Array.isArray(error)) return error.map((one) => one.message).join("; ");
    if (error instanceof CloseEvent) return `The connection closed: ${error.code} ${error.reason}`;
    return error?.message ?? "The connection failed.";
  }

  /**
   * The operation that is meant: `{kind, name}`. Read from the text itself, because what GraphiQL says of it is
   * that of the tab before for a tenth of a second.
   */
  function meant({ query, operationName }) {
    const operations = [...query.matchAll(/^\s*(query|mutation|subscription)\b\s*(\w*)/gm)];
    const [, kind = "query", name = ""] = operations.find((one) => one[2] === operationName) ?? operations[0] ?? [];
    return { kind, name: name || undefined };
  }

  /** Variables with `"generationId": "latest"` made real. */
  const resolve = (variables, latest) =>
    JSON.parse(JSON.stringify(variables), (key, value) => (key === "generationId" && value === "latest" ? latest : value));

  async function fetcher(params, options = {}) {
    const { kind, name } = meant(params);
    const body = { ...params, operationName: name };
    if (params.variables) {
      const latest = remembered("latest");
      body.variables = resolve(params.variables, latest);
      if (!latest && JSON.stringify(body.variables) !== JSON.stringify(params.variables)) {
        return failure('Nothing to call "latest" yet: run Create first.');
      }
    }
    if (kind === "subscription") return stream(body, options.headers);
    // An admin may try an operation as somebody else, who does not see the schema.
    const introspects = name === "IntrospectionQuery";
    const result = await post(body, introspects && admin ? {} : options.headers);
    if (!introspects) {
      if (kind === "mutation") adoptLatest(result.data);
      notice(result.data);
      refresh();
    }
    return result;
  }

  /** One operation of the bar's own, with the headers of the open tab; throws what went wrong, in words. */
  async function ask(query, variables, typed = typedHeaders()) {
    const { data, errors } = await post({ query, variables }, typed);
    if (errors?.length) throw new Error(errors[0].message);
    const payload = Object.values(data)[0];
    if (payload?.userErrors?.length) throw new Error(payload.userErrors[0].message);
    return payload;
  }

  // ---------------------------------------------------------------- GraphiQL's editors

  /** The open tab's CodeMirror for "variables" or "headers": they stand in this order in one section. */
  function editor(name) {
    const tools = document.querySelectorAll(".graphiql-editor-tool .CodeMirror");
    return tools[name === "variables" ? 0 : 1]?.CodeMirror;
  }

  function parsed(name) {
    try {
      return JSON.parse(editor(name)?.getValue() || "{}");
    } catch {
      return {}; // half-typed JSON
    }
  }
  const typedHeaders = () => parsed("headers");

  function useInCreate(url) {
    const tab = document.querySelector('.graphiql-tab-button[title="Create"]');
    if (!tab) return say("There is no Create tab: restart the tour, or copy the URL.", true);
    if (!tab.closest('[aria-selected="true"]')) tab.click();
    requestAnimationFrame(() => {
      const variables = parsed("variables");
      variables.input = { ...variables.input, assets: { ...variables.input?.assets, productImageUrl: url } };
      editor("variables").setValue(JSON.stringify(variables, null, 2));
      say("Your picture is the product of the next still.");
    });
  }

  // ---------------------------------------------------------------- the bar

  function say(text, alarm = false) {
    at("line").textContent = text;
    at("line").title = text; // it may be cut short
    at("line").classList.toggle("alarm", alarm);
  }

  const short = (id) => (id.length > 24 ? `${id.slice(0, 14)}…${id.slice(-4)}` : id);

  function showPass(pass) {
    at("pass").disabled = !pass;
    at("pass").textContent = pass ? short(pass.id) : "no Pass yet";
    at("pass").title = pass ? "Your Pass. Press to copy its id." : "";
    at("pass").dataset.id = pass?.id ?? "";
    at("matcha").hidden = !pass;
    at("matcha").textContent = pass ? `${pass.credits.balance} matcha` : "";
  }

  async function refresh() {
    if (admin) return;
    if (!remembered("pass") && !new Headers(typedHeaders()).has("Authorization")) return showPass(null);
    try {
      showPass(await ask("{ me { id credits { balance } } }"));
    } catch (error) {
      say(error.message, true);
    }
  }

  /** Show what an answer brings: pictures as thumbnails, a friendly line as it is. */
  function notice(data) {
    const pictures = new Map();
    const lines = [];
    JSON.stringify(data ?? null, (key, value) => {
      if (/^https?:/.test(value?.outputUrl)) pictures.set(value.outputUrl, value);
      if (key === "message" && value?.text) lines.push(value.text);
      if (key === "finalMessage" && value) lines.push(value);
      return value;
    });
    if (pictures.size) showPictures([...pictures.values()].slice(0, 6));
    if (lines.length) say(lines.at(-1));
  }

  function showPictures(results) {
    at("pictures").replaceChildren(...results.map(thumbnail));
  }

  function thumbnail({ outputUrl, posterUrl, contentType }) {
    const moving = !posterUrl && (/^video\//.test(contentType) || /\.mp4$/.test(outputUrl));
    const picture = Object.assign(document.createElement(moving ? "video" : "img"), { src: posterUrl ?? outputUrl });
    picture.alt = "Result";
    const link = Object.assign(document.createElement("a"), { href: outputUrl, target: "_blank", rel: "noopener" });
    link.title = "Open the result";
    link.append(picture);
    return link;
  }

  function adoptLatest(data) {
    const made = Object.values(data ?? {}).find((payload) => payload?.generation?.id);
    if (made) remember("latest", made.generation.id);
  }

  async function copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      say(done);
    } catch {
      say(text); // no clipboard without https: show it to be copied by hand
    }
  }

  // ---------------------------------------------------------------- the bar's buttons

  const ENSURE_PASS = "mutation { ensurePass { pass { id } userErrors { message } } }";
  const CREATE_UPLOAD = `mutation ($input: CreateUploadInput!) {
    createUpload(input: $input) { upload { url headers key } userErrors { message } } }`;
  const CONFIRM_UPLOAD = `mutation ($key: String!) {
    confirmUpload(key: $key) { asset { publicUrl contentType } userErrors { message } } }`;

  async function newPass() {
    const warning = "Leave this Pass? Its pictures and matcha can only be reached with its id; copy it first to keep it.";
    if (remembered("pass") && !confirm(warning)) return;
    const left = remembered("pass");
    remember("pass", null);
    try {
      await ask(ENSURE_PASS, {}, {}); // without the open tab's headers: they would resume the old one
      remember("latest", null);
      at("pictures").replaceChildren();
      say("A fresh Pass.");
    } catch (error) {
      remember("pass", left);
      throw error;
    } finally {
      await refresh();
    }
  }

  /** localhost and 127.0.0.1 are one server but two origins: keep to the one this page came from. */
  function reachable(address) {
    const url = new URL(address, location.href);
    const loopback = (host) => ["localhost", "127.0.0.1", "[::1]"].includes(host);
    const same = loopback(url.hostname) && loopback(location.hostname) && url.port === location.port;
    return same ? location.origin + url.pathname + url.search : address;
  }

  async function upload(file) {
    say(`Uploading ${file.name} …`);
    if (at("pass").disabled) await ask(ENSURE_PASS);
    const input = { contentType: file.type, fileName: file.name, bytes: file.size };
    const target = (await ask(CREATE_UPLOAD, { input })).upload;
    const put = await fetch(reachable(target.url), { method: "PUT", headers: target.headers, body: file });
    if (!put.ok) throw new Error(`The store refused the picture (${put.status}).`);
    const { asset } = await ask(CONFIRM_UPLOAD, { key: target.key });
    at("uploaded").dataset.url = asset.publicUrl;
    at("uploaded").hidden = false;
    showPictures([{ outputUrl: asset.publicUrl, contentType: asset.contentType }]);
    say(asset.publicUrl);
    await refresh();
  }

  function restartTour() {
    for (const key of ["tabState", "query", "variables"]) memory.removeItem(`graphiql:${key}`);
    location.reload();
  }

  async function leave() {
    const answer = await fetch(signOut, { method: "POST", headers: { "X-Mina-Admin": "1" } });
    if (!answer.ok) throw new Error(`Signing out did not work (${answer.status}). Try again.`);
    addEventListener("pagehide", () => memory.clear()); // not sooner: GraphiQL still writes down its tabs
    location.assign(endpoint);
  }

  const attempt = (act) => async (event) => {
    try {
      await act(event);
    } catch (error) {
      say(error.message, true);
    }
  };

  at("pass").addEventListener("click", () => copy(at("pass").dataset.id, "Pass id copied."));
  at("new-pass").addEventListener("click", attempt(newPass));
  at("restart").addEventListener("click", restartTour);
  at("copy-url").addEventListener("click", () => copy(at("uploaded").dataset.url, "URL copied."));
  at("use-in-create").addEventListener("click", () => useInCreate(at("uploaded").dataset.url));
  at("upload").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") at("file").click();
  });
  at("file").addEventListener("change", attempt(async ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file may be chosen again
    if (file) await upload(file);
  }));

  if (admin) {
    for (const id of ["pass", "matcha", "upload", "new-pass"]) at(id).hidden = true;
    for (const id of ["admin", "sign-out"]) at(id).hidden = false;
    at("admin").textContent = `${admin} · admin`;
    at("restart").textContent = "Fresh tabs";
    at("restart").title = "Open the ready operations afresh";
    at("sign-out").addEventListener("click", attempt(leave));
  }

  // ---------------------------------------------------------------- GraphiQL

  const page = React.createElement(
    GraphiQL,
    {
      fetcher,
      defaultTabs: tour,
      variables: memory.getItem("graphiql:tabState") ? undefined : (tour[0].variables ?? undefined), // else the first tab has none
      defaultEditorToolsVisibility: "variables",
      shouldPersistHeaders: false,
      storage: memory,
    },
    React.createElement(GraphiQL.Logo, null, " "),
  );
  ReactDOM.createRoot(at("graphiql")).render(page);
  refresh();
})();
