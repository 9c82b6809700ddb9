// Writes tests/data/matter_model.json: what the data model of npm's @matter/model says of the clusters and device types
// that this project serves. The package `matter-model` is the release whose model is the specification that is served,
// which is not the newest. `node model.mjs > ../../data/matter_model.json`
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ClusterModel, DeviceTypeModel, Matter, Specification } from "matter-model";

const CLUSTERS = [
    "AccessControl", "AdministratorCommissioning", "BasicInformation", "Descriptor", "DeviceEnergyManagement",
    "DeviceEnergyManagementMode", "ElectricalEnergyMeasurement", "ElectricalPowerMeasurement", "EnergyEvse",
    "EnergyEvseMode", "EthernetNetworkDiagnostics", "FixedLabel", "GeneralCommissioning", "GeneralDiagnostics",
    "GroupKeyManagement", "Identify", "NetworkCommissioning", "OnOff", "OperationalCredentials", "PowerSource",
    "PowerTopology", "SoftwareDiagnostics", "TemperatureMeasurement", "TimeSynchronization", "UserLabel",
    "WiFiNetworkDiagnostics",
];
const DEVICE_TYPES = [
    "Base", "RootNode", "EnergyEvse", "ElectricalSensor", "DeviceEnergyManagement", "PowerSource", "OnOffLight",
];
const EVENT_LIST = 0xfffa; // gone since 1.3, and without an access in the model
const PRIVILEGES = { V: "view", O: "operate", M: "manage", A: "administer" };

const sorted = (entries) => Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
const text = (value) => (value === undefined || value === null ? "" : String(value));

function access(model, invoked) {
    const { effectiveAccess: given } = model;
    const found = {};
    if (invoked) {
        found.invoke = PRIVILEGES[given.writePriv];
    } else {
        if (given.readable) found.read = PRIVILEGES[given.readPriv ?? "V"];
        if (given.writable) found.write = PRIVILEGES[given.writePriv ?? "O"];
    }
    if (given.timed) found.timed = true;
    if (given.fabric) found.fabric = String(given.fabric);
    return found;
}

/** What values a field or an attribute may have; structures, enumerations and bitmaps are noted in `types`. */
function value(model, types) {
    const base = model.effectiveMetatype === undefined ? "" : text(model.metabase?.name);
    const type = text(model.effectiveType ?? model.type);
    const found = { type, base, constraint: text(model.effectiveConstraint) };
    if (base === "list") {
        const [entry] = model.members.length ? model.members : [model.listEntry];
        if (entry) found.entry = value(entry, types);
    } else if (base === "struct" && !(type in types)) {
        types[type] = { fields: {} }; // noted first: a structure may hold itself
        types[type].fields = fields(model.members, types);
    } else if (/^enum/.test(base) && !(type in types)) {
        types[type] = { values: sorted(model.members.map((each) => [each.name, each.id])) };
    } else if (/^map/.test(base) && !(type in types)) {
        types[type] = { bits: sorted(model.members.map((each) => [each.name, text(each.constraint)])) };
    }
    return found;
}

const field = (model, types) => ({
    id: model.id,
    ...value(model, types),
    quality: text(model.effectiveQuality),
    conformance: text(model.effectiveConformance),
});
const fields = (members, types) => sorted(members.map((each) => [each.name, field(each, types)]));

function cluster(name) {
    const model = Matter.get(ClusterModel, name);
    const types = {}, attributes = {}, commands = {}, responses = {}, events = {};
    for (const each of model.attributes) {
        if (each.id === EVENT_LIST) continue;
        attributes[each.name] = { ...field(each, types), ...access(each) };
        if (each.default !== undefined && typeof each.default !== "object") attributes[each.name].default = each.default;
    }
    for (const each of model.commands) {
        const told = { id: each.id, conformance: text(each.effectiveConformance), fields: fields(each.members, types) };
        if (each.direction === "response") responses[each.name] = told;
        else commands[each.name] = { ...told, ...access(each, true), response: text(each.response) };
    }
    for (const each of model.events) {
        events[each.name] = {
            id: each.id, priority: text(each.effectivePriority ?? each.priority),
            conformance: text(each.effectiveConformance), fields: fields(each.members, types), ...access(each),
        };
    }
    const features = model.features.map((each) => [
        each.name, { name: text(each.title), bit: Number(text(each.constraint)), conformance: text(each.effectiveConformance) },
    ]);
    return {
        id: model.id, revision: model.revision, features: sorted(features), attributes: sorted(Object.entries(attributes)),
        commands: sorted(Object.entries(commands)), responses: sorted(Object.entries(responses)),
        events: sorted(Object.entries(events)), types: sorted(Object.entries(types)),
    };
}

function deviceType(name) {
    const model = Matter.get(DeviceTypeModel, name);
    const requirement = (each) => ({
        id: each.id, element: each.element, conformance: text(each.conformance),
        ...(each.children.length && {
            elements: sorted(each.children.map((one) => [`${one.element} ${one.name}`, text(one.conformance)])),
        }),
    });
    const requirements = model.requirements.map((each) => [`${each.element} ${each.name}`, requirement(each)]);
    return { id: model.id, revision: model.revision, requirements: sorted(requirements) };
}

const installed = fileURLToPath(new URL("node_modules/matter-model/package.json", import.meta.url));
const { version } = JSON.parse(readFileSync(installed));
const source = {
    package: `npm @matter/model ${version}`, licence: "Apache-2.0", specification: Specification.REVISION,
    specification_version: Specification.SPECIFICATION_VERSION, data_model_revision: Specification.DATA_MODEL_REVISION,
    interaction_model_revision: Specification.INTERACTION_MODEL_REVISION,
};
const lines = (table) => Object.entries(table).map(([key, told]) => `  ${JSON.stringify(key)}: ${JSON.stringify(told)}`);
const clusters = lines(Object.fromEntries(CLUSTERS.map((name) => [name, cluster(name)])));
const types = lines(Object.fromEntries(DEVICE_TYPES.map((name) => [name, deviceType(name)])));
process.stdout.write(
    `{"source": ${JSON.stringify(source)},\n"clusters": {\n${clusters.join(",\n")}\n},\n` +
        `"device_types": {\n${types.join(",\n")}\n}}\n`,
);
