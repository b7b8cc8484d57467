/** The provider of the benchmark, in a process of its own so that its time is not counted as the gateway's. */
import { startSimulatedProvider } from '../src/providers/simulated-provider.ts';

const provider = await startSimulatedProvider();
process.send?.({ url: provider.url });
process.on('disconnect', () => process.exit(0));
