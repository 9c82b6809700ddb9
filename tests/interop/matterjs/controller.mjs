// matter.js as administrator: takes one JSON order per line and answers with one JSON line.
import { Environment, Logger } from "@matter/main";
import { ManualPairingCodeCodec, NodeId } from "@matter/main/types";
import * as clusters from "@matter/main/clusters";
import { CommissioningController } from "@project-chip/matter.js";
import { createInterface } from "node:readline";

const [storage] = process.argv.slice(2);

Logger.level = process.env.MATTERJS_LOG ?? "warn";
Logger.destinations.default.write = text => process.stderr.write(text + "\n");
const environment = Environment.default;
environment.vars.set("mdns.networkInterface", "eth0");
environment.vars.set("storage.path", storage);

const controller = new CommissioningController({
    environment: { environment, id: "controller" },
    autoConnect: false,
    adminFabricLabel: "matter.js",
});
await controller.start();

const updates = [];
const waiting = [];

function told(update) {
    updates.push(update);
    for (const wake of waiting.splice(0)) wake();
}

function plain(value) {
    if (typeof value === "bigint") return Number(value);
    if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
    if (Array.isArray(value)) return value.map(plain);
    if (value !== null && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
    }
    return value === undefined ? null : value;
}

function path(name) {
    const [cluster, kind, element] = name.split(".");
    return { cluster: clusters[cluster], element: clusters[cluster][kind][element] };
}

async function client(node) {
    return await controller.createInteractionClient(NodeId(node));
}

const orders = {
    async ping() {
        return true;
    },
    async commission({ code, passcode, discriminator }) {
        const parsed = code === undefined ? undefined : ManualPairingCodeCodec.decode(code);
        const identifierData =
            parsed === undefined
                ? { longDiscriminator: discriminator }
                : { shortDiscriminator: parsed.shortDiscriminator };
        const node = await controller.commissionNode(
            {
                commissioning: { regulatoryLocation: 0, regulatoryCountryCode: "XX" },
                discovery: { identifierData, discoveryCapabilities: { onIpNetwork: true } },
                passcode: parsed?.passcode ?? passcode,
                autoConnect: false,
                autoSubscribe: false,
            },
            { connectNodeAfterCommissioning: false },
        );
        return Number(node);
    },
    async read({ node, endpoint, name }) {
        const { cluster, element } = path(name);
        const interaction = await client(node);
        return await interaction.getAttribute({
            endpointId: endpoint,
            clusterId: cluster.id,
            attribute: element,
            requestFromRemote: true,
        });
    },
    async read_all({ node }) {
        const interaction = await client(node);
        const found = await interaction.getAllAttributes();
        return found.map(({ path, value }) => [path.endpointId, path.clusterId, path.attributeId, value]);
    },
    async read_events({ node }) {
        const interaction = await client(node);
        return (await interaction.getAllEvents()).map(({ path, events }) => [
            path.endpointId,
            path.clusterId,
            path.eventId,
            events.map(event => event.eventNumber),
        ]);
    },
    async write({ node, endpoint, name, value, timed }) {
        const { cluster, element } = path(name);
        const interaction = await client(node);
        await interaction.setAttribute({
            attributeData: { endpointId: endpoint, clusterId: cluster.id, attribute: element, value },
            asTimedRequest: timed ?? false,
        });
    },
    async invoke({ node, endpoint, name, request, timed }) {
        const { cluster, element } = path(name);
        const interaction = await client(node);
        return await interaction.invoke({
            endpointId: endpoint,
            clusterId: cluster.id,
            command: element,
            request,
            asTimedRequest: timed ?? false,
        });
    },
    async subscribe({ node }) {
        const paired = await controller.getNode(NodeId(node));
        paired.events.attributeChanged.on(data => told(["attribute", data.path, plain(data.value)]));
        paired.events.eventTriggered.on(data => told(["event", plain(data.path)]));
        paired.connect({
            autoSubscribe: true,
            subscribeMinIntervalFloorSeconds: 0,
            subscribeMaxIntervalCeilingSeconds: 60,
        });
        if (!paired.remoteInitializationDone) await paired.events.initializedFromRemote;
        return paired.currentSubscriptionIntervalSeconds;
    },
    async update({ endpoint, cluster, attribute, timeout_ms }) {
        const until = Date.now() + timeout_ms;
        for (;;) {
            while (updates.length) {
                const update = updates.shift();
                const [kind, at] = update;
                if (
                    kind === "attribute" &&
                    at.endpointId === endpoint &&
                    at.clusterId === cluster &&
                    at.attributeId === attribute
                ) {
                    return update[2];
                }
            }
            const left = until - Date.now();
            if (left <= 0) throw new Error("no such update in time");
            await new Promise(wake => {
                waiting.push(wake);
                setTimeout(wake, left);
            });
        }
    },
    async open_window({ node }) {
        const paired = await controller.getNode(NodeId(node));
        return await paired.openEnhancedCommissioningWindow(180);
    },
    async remove({ node }) {
        // removeNode refuses to speak to a node that it is reconnecting to, so the command is sent by hand.
        const { currentFabricIndex } = clusters.OperationalCredentials.attributes;
        const cluster = clusters.OperationalCredentials;
        const interaction = await client(node);
        const fabricIndex = await interaction.getAttribute({
            endpointId: 0,
            clusterId: cluster.id,
            attribute: currentFabricIndex,
            requestFromRemote: true,
        });
        await interaction.invoke({
            endpointId: 0,
            clusterId: cluster.id,
            command: cluster.commands.removeFabric,
            request: { fabricIndex },
        });
        await controller.removeNode(NodeId(node), false);
    },
};

console.log(JSON.stringify({ value: "ready" }));
for await (const line of createInterface({ input: process.stdin })) {
    const { order, ...named } = JSON.parse(line);
    try {
        console.log(JSON.stringify({ value: plain(await orders[order](named)) }));
    } catch (error) {
        const code = error.code ?? error.id;
        const shown = { kind: error.constructor.name, error: String(error.message), code: Number(code) || null };
        console.log(JSON.stringify(shown));
        process.stderr.write(`${error.stack}\n`);
    }
}
await controller.close();
process.exit(0);
