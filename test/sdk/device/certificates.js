'use strict';

// Certificates for devices, made by openssl.

const { execFileSync } = require('node:child_process');
const { X509Certificate, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

/**
 * makeCertificate returns a key and a certificate in PEM, their files, and the
 * thumbprints in IoT Hub's form. Without an issuer the certificate is
 * self-signed. With server, it has the name as DNS name, too.
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
