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

  /**
   * A room with a loudspeaker around the page: what it plays comes back `delayS` later by `gain`, into the very track
   * that it sends, beside its microphone, which is closed at first.
   */
  const enterRoom = (microphone, { delayS, gain }) => {
    const context = new AudioContext({ sampleRate: 48000 });
    const source = (track) => context.createMediaStreamSource(new MediaStream([track]));
    const voice = new GainNode(context, { gain: 0 });
    const echo = new GainNode(context, { gain });
    const delay = new DelayNode(context, { delayTime: delayS, maxDelayTime: 1 });
    const sent = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    const sources = [source(microphone)]; // kept, or they may be collected while they sound
    sources[0].connect(voice).connect(sent);
    delay.connect(echo).connect(sent);
    return {
      stream: sent.stream,
      play: (track) => { sources.push(source(track)); sources.at(-1).connect(delay); },
      openMicrophone: () => { voice.gain.value = 1; },
    };
  };
  let room = null; // of a page that was told so by `window.testRoom`

  const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    let stream = await getUserMedia(constraints);
    if (window.testRoom) {
      room = enterRoom(stream.getAudioTracks()[0], window.testRoom);
      stream = room.stream;
    }
    tracks.microphone = stream.getAudioTracks()[0];
    return stream;
  };
  const connections = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...args) {
      super(...args);
      connections.push(this);
      this.addEventListener("track", (event) => {
        tracks.heard = event.track;
        room?.play(event.track);
      });
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
    // A page that is starved skips blocks, which are silent here.
    const pcm = new Float32Array(last.length ? last.at(-1).frame - last[0].frame + 128 : 0);
    last.forEach((block) => pcm.set(block.pcm, block.frame - last[0].frame));
    const bytes = new Uint8Array(pcm.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return { startMs: Math.min(...offsets) + last[0].frame / 48, pcm: btoa(text) };
  };

  const stats = async () => [...(await connections.at(-1).getStats()).values()];
  const openMicrophone = () => room.openMicrophone();
  window.testHooks = { start, read, stats, openMicrophone, tracks };
})();
