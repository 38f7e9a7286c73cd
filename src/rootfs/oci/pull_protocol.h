#pragma once
/// The words between pull.cc and `vmette-image-worker pull`: what is asked (lines of fields on the worker's input) and
/// answered (AnswerLine). The first line opens the registry; each later one asks for a document or for layers; the end
/// of the input ends the worker. Whatever it answers is checked by who asked.

namespace vmette::rootfs::oci::words {

/// No request is longer: 512 layers of some 100 bytes each, or a token of 32 KiB.
constexpr unsigned kMaxRequest = 256 * 1024;

// The first line.
constexpr const char* kRepository = "repository";
/// "0", "1", …: "SCHEME HOST"; the registry is the last, mirrors come before it.
constexpr const char* kEndpoint = "endpoint.";
constexpr const char* kHttps = "https";
constexpr const char* kHttp = "http";
constexpr const char* kEither = "either";  ///< https, or http when the far side speaks no TLS
constexpr const char* kUser = "user";
constexpr const char* kPassword = "password";
constexpr const char* kIdentityToken = "identity_token";
constexpr const char* kRegistryToken = "registry_token";
constexpr const char* kLoginAdvice = "login_advice";  ///< for messages: how to be let in
constexpr const char* kMaxDownload = "max_download";  ///< bytes
constexpr const char* kStall = "stall";               ///< seconds
constexpr const char* kTotal = "total";               ///< seconds
constexpr const char* kCertificates = "ca_certs.";    ///< "0", "1", …

// Later lines. The answer to a document has `size` and, for a manifest, `type`; the text is in kWorkerOutput.
constexpr const char* kDo = "do";
constexpr const char* kManifest = "manifest";
constexpr const char* kBlob = "blob";
constexpr const char* kLayers = "layers";
constexpr const char* kWanted = "wanted";    ///< tag or digest
constexpr const char* kAccept = "accept";    ///< media types
constexpr const char* kSubject = "subject";  ///< for messages: "the manifest"
constexpr const char* kSize = "size";        ///< of a blob, or of an answer: bytes
constexpr const char* kType = "type";        ///< media type
constexpr const char* kFirst = "first";      ///< of the endpoints to be asked for a document: its number
constexpr const char* kFrom = "from";        ///< of an answer: the number of the endpoint that gave the document
constexpr const char* kRemark = "remark.";   ///< "0", "1", …, of an answer: why a mirror was passed over
/// "0", "1", …: "HEX SIZE".
constexpr const char* kLayer = "layer.";

}  // namespace vmette::rootfs::oci::words
