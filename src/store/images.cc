#include <algorithm>

#include "base/text.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

constexpr std::string_view kSelect =
    "SELECT images.digest, source, provider, content_digest, validator, bytes, created_at, last_used_at, uses, "
    "coalesce(config, ''), "
    "coalesce(put_at, 0) "
    "FROM images LEFT JOIN image_sources USING (digest)";

StoredImage read_image(SQLite::Statement& row) {
    StoredImage image;
    read_value(row.getColumn(0), image.digest);
    read_value(row.getColumn(1), image.source);
    read_value(row.getColumn(2), image.provider);
    read_value(row.getColumn(3), image.content_digest);
    read_value(row.getColumn(4), image.validator);
    read_value(row.getColumn(5), image.bytes);
    read_value(row.getColumn(6), image.created_at);
    read_value(row.getColumn(7), image.last_used_at);
    read_value(row.getColumn(8), image.uses);
    read_value(row.getColumn(9), image.config);
    read_value(row.getColumn(10), image.checked_at);
    return image;
}

bool same_image(const StoredImage& a, const StoredImage& b) { return a.digest == b.digest; }

/// `hex` is the beginning of what each of these can be called by.
Failure several_fit(std::string_view hex, const std::vector<StoredImage>& images) {
    constexpr std::size_t kNamed = 5, kDigits = 19;  // "sha256:" and twelve
    std::string names;
    for (std::size_t i = 0; i < std::min(images.size(), kNamed); ++i)
        names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", images[i].digest.substr(0, kDigits),
                             harmless_line(images[i].source, 100));
    return fail(ErrorCode::bad_input, "{} fits {} images; give more of the digest: {}{}", hex, images.size(), names,
                images.size() > kNamed ? ", …" : "");
}

std::optional<StoredImage> one_image(Database& database, std::string_view condition, std::string_view argument) {
    Query query(database.prepared(fmt::format("{} WHERE {}", kSelect, condition)));
    bind_text(*query, 1, argument);
    if (!query->executeStep()) return std::nullopt;
    return read_image(*query);
}

void put_file(Database& database, const StoredImage& image) {
    Query query(
        database.prepared("INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (digest) DO UPDATE "
                          "SET bytes = excluded.bytes, last_used_at = max(last_used_at, excluded.last_used_at)"));
    bind_text(*query, 1, image.digest);
    bind_value(*query, 2, image.bytes);
    bind_value(*query, 3, image.created_at);
    bind_value(*query, 4, image.last_used_at);
    bind_value(*query, 5, image.uses);
    query->executeStep();
}

void put_source(Database& database, const StoredImage& image, WallTime now) {
    Query query(database.prepared(
        "INSERT INTO image_sources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (source) DO UPDATE "
        "SET digest = excluded.digest, provider = excluded.provider, "
        "content_digest = excluded.content_digest, validator = excluded.validator, "
        "put_at = excluded.put_at, config = excluded.config"));
    bind_text(*query, 1, image.source);
    bind_text(*query, 2, image.digest);
    bind_text(*query, 3, image.provider);
    bind_text(*query, 4, image.content_digest);
    bind_text(*query, 5, image.validator);
    bind_value(*query, 6, now);
    bind_text(*query, 7, image.config);
    query->executeStep();
}

}  // namespace

// The cache can be made again, so none of this waits for the disk.

Result<> Store::put_image(const StoredImage& image) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        put_file(database, image);
        put_source(database, image, impl_->clock.now());
    });
}

Result<> Store::touch_image(std::string_view digest, std::uint64_t uses) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(
            database.prepared("UPDATE images SET uses = uses + ?3, last_used_at = max(last_used_at, ?2) "
                              "WHERE digest = ?1"));
        bind_text(*query, 1, digest);
        bind_value(*query, 2, impl_->clock.now());
        bind_value(*query, 3, uses);
        query->executeStep();
    });
}

Result<> Store::remove_image(std::string_view digest) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(database.prepared("DELETE FROM images WHERE digest = ?1"));
        bind_text(*query, 1, digest);
        query->executeStep();
    });
}

Result<bool> Store::remove_image_source(std::string_view source) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(
            database.prepared("DELETE FROM image_sources WHERE source = ?1 AND EXISTS (SELECT 1 FROM image_sources AS "
                              "other WHERE other.digest = image_sources.digest AND other.source <> ?1)"));
        bind_text(*query, 1, source);
        query->executeStep();
        return database.connection().getChanges() > 0;
    });
}

Result<std::optional<StoredImage>> Store::image_by_source(std::string_view source) {
    Database& database = *impl_->database;
    return database.read([&] { return one_image(database, "source = ?1", source); });
}

Result<std::optional<StoredImage>> Store::image_by_content(std::string_view content_digest) {
    Database& database = *impl_->database;
    return database.read([&] {
        return one_image(database, "content_digest = ?1 ORDER BY put_at DESC, source LIMIT 1", content_digest);
    });
}

Result<std::vector<StoredImage>> Store::image_sources(std::string_view digest) {
    Database& database = *impl_->database;
    return database.read([&] {
        Query query(
            database.prepared(fmt::format("{} WHERE images.digest = ?1 ORDER BY put_at DESC, source", kSelect)));
        bind_text(*query, 1, digest);
        std::vector<StoredImage> images;
        while (query->executeStep()) images.push_back(read_image(*query));
        return images;
    });
}

Result<StoredImage> Store::find_image(std::string_view digest_or_source) {
    constexpr std::string_view kPrefix = "sha256:";
    constexpr std::size_t kShortest = 4;
    VMETTE_TRY(auto by_source, image_by_source(digest_or_source));
    if (by_source) return *std::move(by_source);
    std::string_view hex = digest_or_source;
    if (hex.starts_with(kPrefix)) hex.remove_prefix(kPrefix.size());
    bool is_hex = hex.find_first_not_of("0123456789abcdef") == hex.npos;
    if (hex.size() >= kShortest && is_hex) {
        VMETTE_TRY(auto images, list_image_sources());
        std::string whole = fmt::format("{}{}", kPrefix, hex);
        std::erase_if(images, [&](const StoredImage& image) {
            return !image.digest.starts_with(whole) && !image.content_digest.starts_with(whole) &&
                   !image.validator.starts_with(whole);
        });
        // An image's sources stand together.
        images.erase(std::unique(images.begin(), images.end(), same_image), images.end());
        if (images.size() > 1) return several_fit(hex, images);
        if (images.size() == 1) return std::move(images.front());
    } else if (!hex.empty() && hex.size() < kShortest && is_hex) {
        return fail(ErrorCode::not_found,
                    "there is no image \"{}\" in the cache; the beginning of a digest has at least {} digits", hex,
                    kShortest);
    }
    return fail(ErrorCode::not_found, "there is no image \"{}\" in the cache", harmless_line(digest_or_source, 200));
}

Result<std::vector<StoredImage>> Store::list_images() {
    VMETTE_TRY(auto images, list_image_sources());
    images.erase(std::unique(images.begin(), images.end(), same_image), images.end());
    return images;
}

Result<std::vector<StoredImage>> Store::list_image_sources() {
    Database& database = *impl_->database;
    return database.read([&] {
        Query query(
            database.prepared(fmt::format("{} ORDER BY last_used_at DESC, digest, put_at DESC, source", kSelect)));
        std::vector<StoredImage> images;
        while (query->executeStep()) images.push_back(read_image(*query));
        return images;
    });
}

}  // namespace vmette::store
