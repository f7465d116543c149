// Callers by WHIP and WHEP: one written by the book with fetch alone, and one around an npm package, used unchanged.
const VOICE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const microphone = async () => (await navigator.mediaDevices.getUserMedia({ audio: VOICE })).getAudioTracks()[0];

const play = (connection) => {
  connection.addEventListener("track", ({ track }) => {
    const element = new Audio(); // a remote track that no element plays gives no sound to anything else either
    element.srcObject = new MediaStream([track]);
    element.play();
  });
};

const connected = (connection) => new Promise((done) => {
  const look = () => connection.connectionState === "connected" && done();
  connection.addEventListener("connectionstatechange", look);
  look();
});

/** A caller with fetch alone, whose offers hold their candidates. */
export class PlainCaller {
  #token;
  #sessions = [];

  constructor(token) { this.#token = token; }

  async publish(url) {
    const connection = new RTCPeerConnection();
    connection.addTransceiver(await microphone(), { direction: "sendonly" });
    await this.#call(connection, url);
  }

  async listen(url) {
    const connection = new RTCPeerConnection();
    play(connection);
    connection.addTransceiver("audio", { direction: "recvonly" });
    await this.#call(connection, url);
  }

  async leave() {
    const headers = { Authorization: `Bearer ${this.#token}` };
    return Promise.all(this.#sessions.map(async (url) => (await fetch(url, { method: "DELETE", headers })).status));
  }

  async #call(connection, url) {
    await connection.setLocalDescription();
    while (connection.iceGatheringState !== "complete") {
      await new Promise((done) => connection.addEventListener("icegatheringstatechange", done, { once: true }));
    }
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.#token}` },
      body: connection.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
    this.#sessions.push(new URL(response.headers.get("Location"), url));
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await connected(connection);
  }
}

/** The same by the clients of the package `whip-whep`, which trickle candidates, and ask for video as players do. */
export class PackageCaller {
  #token;
  #clients = [];

  constructor(token) { this.#token = token; }

  async publish(url) {
    const { WHIPClient } = await import("/npm/whip.js");
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    connection.addTransceiver(await microphone(), { direction: "sendonly" });
    await this.#call(new WHIPClient(), "publish", connection, url);
  }

  async listen(url) {
    const { WHEPClient } = await import("/npm/whep.js");
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    play(connection);
    connection.addTransceiver("video", { direction: "recvonly" });
    connection.addTransceiver("audio", { direction: "recvonly" });
    await this.#call(new WHEPClient(), "view", connection, url);
  }

  async leave() { await Promise.all(this.#clients.map((client) => client.stop())); }

  async #call(client, verb, connection, url) {
    await client[verb](connection, url, this.#token);
    this.#clients.push(client);
    await connected(connection);
  }
}
