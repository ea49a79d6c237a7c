// Starts oauth2-mock-server, and adds what it does not do by itself (this part is ours): it looks at who asks.
//
// CLIENTS in the environment is JSON: {client id: {"secret": "..."} or {"public_key": "<PEM>"}}, and for the password
// grant {"secret": "...", "users": {name: password}}. Without CLIENTS any client gets a token, as the package does.
// TOKEN_PATH: where tokens are asked for (/token). LIFETIME: seconds that a token says it lives.
// The first line on standard output is {"port": n}; then one line for every token request: what was asked and answered.

import crypto from "node:crypto";
import { OAuth2Server } from "oauth2-mock-server";

const clients = process.env.CLIENTS ? JSON.parse(process.env.CLIENTS) : null;
const lifetime = Number(process.env.LIFETIME || "3600");
const SIGNATURES = {
  PS256: { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  ES256: { dsaEncoding: "ieee-p1363" },
};

function basic(req) {
  const [kind, value] = (req.headers.authorization || "").split(" ");
  if (kind !== "Basic") return null;
  const [name, ...rest] = Buffer.from(value, "base64").toString().split(":");
  return { name: decodeURIComponent(name), secret: decodeURIComponent(rest.join(":")) };
}

function assertion(body) {
  const [head, payload, signature] = String(body.client_assertion).split(".");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url").toString());
  return { header: read(head), claims: read(payload), signed: `${head}.${payload}`, signature };
}

function asking(req) {
  if (req.body.client_assertion) return assertion(req.body).claims.iss;
  return basic(req)?.name ?? req.body.client_id ?? "";
}

function refusal(req) {
  if (clients === null) return "";
  const known = clients[asking(req)];
  if (!known) return "unknown client";
  if (known.public_key) {
    if (!req.body.client_assertion) return "no assertion";
    const { header, claims, signed, signature } = assertion(req.body);
    const how = SIGNATURES[header.alg];
    if (!how) return `algorithm ${header.alg} is not accepted`;
    const key = { key: known.public_key, ...how };
    if (!crypto.verify("sha256", Buffer.from(signed), key, Buffer.from(signature, "base64url"))) return "signature";
    const now = Date.now() / 1000;
    if (claims.exp < now || claims.exp > now + 3600) return "expiry";
    return "";
  }
  const secret = basic(req)?.secret ?? req.body.client_secret;
  if (secret !== known.secret) return "secret";
  if (known.users && req.body.grant_type === "password" && known.users[req.body.username] !== req.body.password) {
    return "user";
  }
  return "";
}

const server = new OAuth2Server(undefined, undefined, {
  endpoints: process.env.TOKEN_PATH ? { token: process.env.TOKEN_PATH } : {},
});
await server.issuer.keys.generate("RS256");

server.service.on("beforeTokenSigning", (token, req) => {
  token.payload.sub = req.body.grant_type === "password" ? req.body.username : asking(req);
});

server.service.on("beforeResponse", (response, req) => {
  let why;
  try {
    why = refusal(req);
  } catch (fault) {
    why = String(fault.message);
  }
  response.body.expires_in = lifetime;
  delete response.body.refresh_token;
  if (why) {
    response.statusCode = 401;
    response.body = { error: "invalid_client", error_description: why };
  }
  const asked = { ...req.body };
  for (const name of ["client_secret", "password"]) delete asked[name];
  console.log(JSON.stringify({ path: req.path, asked, client: asking(req), status: response.statusCode }));
});

await server.start(0, "127.0.0.1");
console.log(JSON.stringify({ port: server.address().port }));
