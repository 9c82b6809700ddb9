// The other device of the benchmark: an on/off light of matter.js. Prints {"value": …} when it can be commissioned.
import { Environment, Logger, ServerNode, VendorId } from "@matter/main";
import { OnOffLightDevice } from "@matter/main/devices/on-off-light";
import { createInterface } from "node:readline";

const [storage, passcode, discriminator, port] = process.argv.slice(2);
const started = performance.now();

Logger.level = process.env.MATTERJS_LOG ?? "error";
const environment = Environment.default;
environment.vars.set("mdns.networkInterface", "eth0");
environment.vars.set("storage.path", storage);

const node = await ServerNode.create({
    id: "lamp",
    network: { port: Number(port) },
    commissioning: { passcode: Number(passcode), discriminator: Number(discriminator) },
    productDescription: { name: "Lamp", deviceType: OnOffLightDevice.deviceType },
    basicInformation: {
        vendorName: "Test",
        vendorId: VendorId(0xfff1),
        productName: "Lamp",
        productLabel: "Lamp",
        productId: 0x8000,
        serialNumber: "1",
        uniqueId: "1",
    },
});
const lamp = await node.add(OnOffLightDevice, { id: "onoff" });
await node.start();
console.log(JSON.stringify({ value: { started_ms: performance.now() - started } }));

for await (const line of createInterface({ input: process.stdin })) {
    const { order } = JSON.parse(line);
    if (order === "toggle") {
        await lamp.set({ onOff: { onOff: !lamp.state.onOff.onOff } });
    }
    console.log(JSON.stringify({ value: { at_ms: Date.now(), rss: process.memoryUsage().rss } }));
}
await node.close();
process.exit(0);
