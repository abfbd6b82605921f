'use strict';

// Certificates for devices, made by openssl.

const { execFileSync } = require('node:child_process');
const { X509Certificate, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

/**
 * makeCertificate returns key and certificate (PEM), the files they are in, and
 * thumbprint and thumbprint256 as IoT Hub has them. Without an issuer it is
 * signed by itself. A server's has the name as DNS name, too.
 */
function makeCertificate(name, issuer, { server = false } = {}) {
  const stem = path.join(process.env.EMULATOR_DIR, randomUUID());
  const files = { certFile: `${stem}.pem`, keyFile: `${stem}-key.pem` };
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', `/CN=${name}`, '-keyout', files.keyFile, '-out', files.certFile,
    ...(issuer ? ['-CA', issuer.certFile, '-CAkey', issuer.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE'] : []),
    ...(server ? ['-addext', `subjectAltName=DNS:${name}`] : []),
  ], { stdio: 'pipe' });
  const cert = fs.readFileSync(files.certFile, 'utf8');
  const { fingerprint, fingerprint256 } = new X509Certificate(cert);
  return {
    ...files,
    cert,
    key: fs.readFileSync(files.keyFile, 'utf8'),
    thumbprint: fingerprint.replaceAll(':', ''),
    thumbprint256: fingerprint256.replaceAll(':', ''),
  };
}

module.exports = { makeCertificate };
