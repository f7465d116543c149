// Runs before the page's own scripts: notes the page's microphone and remote tracks and records them on request.
(() => {
  const RECORDER = `
    registerProcessor("test-recorder", class extends AudioWorkletProcessor {
      process([input]) {
        if (input.length) this.port.postMessage({ frame: currentFrame, pcm: input[0].slice() });
        return true;
      }
    });`;
  const tracks = {};
  const recordings = {};

  const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await getUserMedia(constraints);
    tracks.microphone = stream.getAudioTracks()[0];
    return stream;
  };
  const connections = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...args) {
      super(...args);
      connections.push(this);
      this.addEventListener("track", (event) => { tracks.heard = event.track; });
    }
  };

  /** Starts recording `name` (`microphone` or `heard`) from the very track the page uses. */
  const start = async (name) => {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([RECORDER], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "test-recorder", { numberOfOutputs: 0 });
    context.createMediaStreamSource(new MediaStream([tracks[name]])).connect(node);
    const recording = { blocks: [], offsets: [] };
    recordings[name] = recording;
    node.port.onmessage = ({ data }) => {
      // The least delayed message tells best when frame 0 of the context was on the wall clock.
      recording.offsets.push(performance.timeOrigin + performance.now() - (data.frame + data.pcm.length) / 48);
      recording.blocks.push(data);
    };
    await context.resume();
  };

  /** The last `seconds` of a recording: wall-clock time of its first sample (ms), and the samples in base64. */
  const read = (name, seconds) => {
    const { blocks, offsets } = recordings[name];
    const last = blocks.slice(-Math.ceil((seconds * 48000) / 128));
    const pcm = new Float32Array(last.length * 128);
    last.forEach((block) => pcm.set(block.pcm, block.frame - last[0].frame));
    const bytes = new Uint8Array(pcm.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return { startMs: Math.min(...offsets) + last[0].frame / 48, pcm: btoa(text) };
  };

  const stats = async () => [...(await connections.at(-1).getStats()).values()];
  window.testHooks = { start, read, stats, tracks };
})();
