// Writes tests/data/matter_access.json: what may be read, written and invoked with which privilege, by the data model
// of npm's @matter/model. Run where the release of the wanted specification is installed, which is not the newest:
//   npm install --ignore-scripts @matter/model@0.16.11 && node access.mjs CLUSTER... > matter_access.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const model = require("@matter/model");
const { version } = JSON.parse(readFileSync("node_modules/@matter/model/package.json"));

const EVENT_LIST = 0xfffa; // gone since 1.3, and without an access in the model
const PRIVILEGES = { V: "view", O: "operate", M: "manage", A: "administer" };
const facts = ({ effectiveAccess: access }, invoked) => {
    const found = {};
    if (invoked) {
        found.invoke = PRIVILEGES[access.writePriv];
    } else {
        if (access.readable) found.read = PRIVILEGES[access.readPriv ?? "V"];
        if (access.writable) found.write = PRIVILEGES[access.writePriv ?? "O"];
    }
    if (access.timed) found.timed = true;
    if (access.fabric) found.fabric = String(access.fabric);
    return found;
};
const clusters = {};
for (const name of process.argv.slice(2)) {
    const cluster = model.Matter.get(model.ClusterModel, name);
    const attributes = {}, commands = {}, events = {};
    for (const each of cluster.attributes) if (each.id !== EVENT_LIST) attributes[each.name] = { id: each.id, ...facts(each) };
    for (const each of cluster.commands) {
        if (each.direction !== "response") commands[each.name] = { id: each.id, ...facts(each, true) };
    }
    for (const each of cluster.events) events[each.name] = { id: each.id, ...facts(each) };
    clusters[name] = { id: cluster.id, attributes, commands, events };
}
const source = `npm @matter/model ${version}, Matter ${model.Specification.REVISION}, Apache-2.0`;
const lines = Object.entries(clusters).map(([name, facts]) => `  ${JSON.stringify(name)}: ${JSON.stringify(facts)}`);
process.stdout.write(`{"source": ${JSON.stringify(source)}, "clusters": {\n${lines.join(",\n")}\n}}\n`);
