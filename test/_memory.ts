import { once } from "node:events";
import type { Gateway } from "./_gateway.ts";

/** The setting of a gateway whose live memory a test reads. */
export const inspected = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };

/** Memory in use by a gateway, in MiB: heap and buffers that a full garbage collection leaves. */
export async function liveMiB(gateway: Gateway): Promise<number> {
  const [url = ""] = /ws:\/\/127\.0\.0\.1:\S+/.exec(gateway.log()) ?? [];
  const inspector = new WebSocket(url);
  await once(inspector, "open");
  const ask = async (method: string, params = {}) => {
    inspector.send(JSON.stringify({ id: 1, method, params }));
    const [{ data }] = await once(inspector, "message");
    return JSON.parse(data).result;
  };
  try {
    await ask("HeapProfiler.collectGarbage");
    const expression = "process.memoryUsage().heapUsed + process.memoryUsage().external";
    const { result } = await ask("Runtime.evaluate", { expression });
    return result.value / 2 ** 20;
  } finally {
    inspector.close();
  }
}
