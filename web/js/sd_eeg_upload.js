// The button that brings EEG files into ComfyUI's input folder, for every node with a combo that says `eeg_upload`.
// The host has such buttons for pictures, sound and films only.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const LABEL = "upload EEG file(s)";
const TOOLTIP =
  "One file, or all files of a recording at once: .vhdr, .eeg and .vmrk (BrainVision), .set and .fdt (EEGLAB). " +
  "They can also be dropped on the node.";
const HEADER_OF = { ".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set" };

app.registerExtension({
  name: "sd_eeg.upload",
  nodeCreated(node) {
    const inputs = Object.entries(node.constructor.nodeData?.input?.required ?? {});
    const name = inputs.find(([, spec]) => spec?.[1]?.eeg_upload)?.[0];
    const combo = node.widgets?.find((widget) => widget.name === name);
    if (combo) addUpload(node, combo);
  },
});

function addUpload(node, combo) {
  combo.value ??= ""; // an empty input folder; the canvas would write "undefined"
  // It stands last: a widget that is not saved shifts the saved values of those behind it.
  const button = node.addWidget("button", "eeg_upload", null, () => chooser.click(), { serialize: false });
  button.serialize = false;
  button.label = LABEL;
  button.tooltip = TOOLTIP;

  const chooser = Object.assign(document.createElement("input"), { type: "file", multiple: true });
  chooser.onchange = () => {
    const files = [...chooser.files];
    chooser.value = ""; // so that the same file can be chosen again
    void take(files);
  };

  let busy = false;
  async function take(files) {
    if (!files.length) return;
    if (busy) return say("warn", "files are still being sent; wait for them");
    busy = true;
    try {
      const names = await upload(files, (text) => show(node, button, text));
      choose(node, combo, names);
      if (names.length > 1) say("info", `${names.length} recordings were uploaded; the node reads ${names[0]}`);
    } catch (error) {
      say("error", error.message);
    } finally {
      busy = false;
      show(node, button, LABEL);
    }
  }

  node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
  node.onDragDrop = (event) => {
    const files = [...(event.dataTransfer?.files ?? [])].filter((file) => !isForHost(file));
    if (!files.length) return false;
    return take(files).then(() => true);
  };
}

/** Whether a dropped file is one that the host itself opens: a workflow, or a picture that may hold one. */
function isForHost(file) {
  return /^(image|audio|video)\//.test(file.type) || suffixOf(file.name) === ".json";
}

function show(node, button, text) {
  button.label = text;
  node.setDirtyCanvas?.(true, false);
}

function choose(node, combo, names) {
  const known = combo.options.values;
  for (const name of names) if (Array.isArray(known) && !known.includes(name)) known.push(name);
  const before = combo.value;
  combo.value = names[0];
  combo.callback?.(names[0]);
  node.onWidgetChanged?.(combo.name, names[0], before, combo);
  node.setDirtyCanvas?.(true, true);
  app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
}

/** Send the files; the promise is of the names of the recordings within the input folder. Errors are for reading. */
async function upload(files, progress) {
  const limit = api.getServerFeature?.("max_upload_size");
  const large = files.find((file) => limit && file.size > limit);
  if (large) {
    throw new Error(
      `${brief(large.name)} has ${megabytes(large.size)} and this server takes at most ${megabytes(limit)} a file. ` +
        "Copy it into ComfyUI's input folder and press R, or start ComfyUI with a higher --max-upload-size."
    );
  }
  const recordings = await grouped(files);
  const names = [];
  for (const { header, parts } of recordings) {
    // The files of a set name each other, so they keep their names and get a folder of their own.
    const folder = parts.length > 1 ? await folderFor(parts, stemOf(header.name)) : { name: "", holdsThem: false };
    let name = header.name;
    for (const part of folder.holdsThem ? [] : parts) {
      const stored = await send(part, folder.name, (share) =>
        progress(`sending ${brief(part.name, 24)} ${Math.round(100 * share)} %`)
      );
      if (folder.name && stored !== part.name) {
        throw new Error(`the server stored ${brief(part.name)} as ${brief(stored)}: upload the set again.`);
      }
      if (part === header) name = stored;
    }
    names.push(folder.name ? `${folder.name}/${name}` : name);
  }
  return names;
}

/** Put the files together into recordings: a header with the files it needs, or one file by itself. */
async function grouped(files) {
  const left = new Set(files);
  const recordings = [];
  for (const header of files.filter((file) => [".vhdr", ".set"].includes(suffixOf(file.name)))) {
    const parts = suffixOf(header.name) === ".vhdr" ? await partsOfBrainVision(header, files) : partsOfEeglab(header, files);
    for (const part of [header, ...parts]) left.delete(part);
    recordings.push({ header, parts: [...parts, header] });
  }
  for (const file of left) {
    const header = HEADER_OF[suffixOf(file.name)];
    if (header) {
      throw new Error(`${brief(file.name)} cannot be read without its ${header} file: choose all files of the recording together.`);
    }
    recordings.push({ header: file, parts: [file] });
  }
  return recordings;
}

async function partsOfBrainVision(header, files) {
  const text = await header.slice(0, 4096).text();
  const named = [...text.matchAll(/^\s*(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$/gim)].map((found) =>
    found[1].replaceAll("$b", stemOf(header.name))
  );
  const missing = named.filter((name) => !files.some((file) => file.name === name));
  if (missing.length) {
    throw new Error(
      `${brief(header.name)} names ${missing.map((name) => brief(name)).join(" and ")}, not among the chosen files: ` +
        "choose all files of the recording together, under the names they were recorded with."
    );
  }
  return files.filter((file) => named.includes(file.name));
}

function partsOfEeglab(header, files) {
  return files.filter((file) => suffixOf(file.name) === ".fdt" && stemOf(file.name) === stemOf(header.name));
}

/** Find a folder that is free, or that holds these very files already. */
async function folderFor(parts, stem) {
  for (let number = 1; number < 100; number++) {
    const name = number === 1 ? stem : `${stem}-${number}`;
    const sizes = await Promise.all(parts.map((part) => storedSize(part, name)));
    if (sizes.every((size) => size === null)) return { name, holdsThem: false };
    if (parts.every((part, i) => part.size === sizes[i])) {
      const same = await Promise.all(parts.map((part) => isStored(part, name)));
      if (same.every(Boolean)) return { name, holdsThem: true };
    }
  }
  throw new Error(`the input folder holds 99 recordings called ${brief(stem)}: give the folder another name.`);
}

function storedAt(part, folder) {
  return `/view?${new URLSearchParams({ filename: part.name, subfolder: folder, type: "input" })}`;
}

async function storedSize(part, folder) {
  const answer = await api.fetchApi(storedAt(part, folder), { method: "HEAD", cache: "no-store" });
  return answer.ok ? Number(answer.headers.get("Content-Length")) : null;
}

async function isStored(part, folder) {
  const answer = await api.fetchApi(storedAt(part, folder), { cache: "no-store" });
  if (!answer.ok) return false;
  const [there, here] = (await Promise.all([answer.arrayBuffer(), part.arrayBuffer()])).map((b) => new Uint8Array(b));
  return there.length === here.length && there.every((byte, i) => byte === here[i]);
}

/** Send one file; the promise is of the name the server gave it. */
function send(file, subfolder, progress) {
  const body = new FormData();
  body.append("image", file, file.name);
  body.append("type", "input");
  if (subfolder) body.append("subfolder", subfolder);
  return new Promise((resolve, reject) => {
    // fetch says nothing about how far it has come
    const request = new XMLHttpRequest();
    const refuse = (why) => reject(new Error(`the server did not take ${brief(file.name)}: ${why}`));
    request.open("POST", api.apiURL("/upload/image"));
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () => refuse("the connection broke. Is ComfyUI still running?");
    request.onload = () => {
      if (request.status !== 200) return refuse(`${request.status} ${request.statusText}`);
      try {
        resolve(JSON.parse(request.responseText).name);
      } catch {
        refuse("its answer is not that of ComfyUI's upload");
      }
    };
    progress(0);
    request.send(body);
  });
}

function say(severity, detail) {
  const toast = app.extensionManager?.toast;
  if (toast?.add) toast.add({ severity, summary: "EEG upload", detail, life: severity === "error" ? 20000 : 6000 });
  else alert(`EEG upload: ${detail}`);
}

function suffixOf(name) {
  return /\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? "";
}

function stemOf(name) {
  return name.replace(/\.[^.]*$/, "");
}

function brief(name, longest = 60) {
  return name.length <= longest ? name : `${name.slice(0, longest - 12)}…${name.slice(-10)}`;
}

function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 0)} MB`;
}
