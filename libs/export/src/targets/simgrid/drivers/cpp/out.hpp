// A file of JSON rows.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// Writes a file in large blocks. The methods append the fields of a row. Each name must be a word.
class Out {
public:
  explicit Out(const std::filesystem::path& path) : path_(path), file_(std::fopen(path.c_str(), "wb"))
  {
    if (file_ == nullptr)
      fail();
  }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  ~Out()
  {
    if (file_ != nullptr)
      std::fclose(file_);
  }

  Out& raw(std::string_view text)
  {
    buffer_ += text;
    return *this;
  }

  Out& number(int64_t value)
  {
    buffer_ += std::to_string(value);
    return *this;
  }

  // "name":value, for an integer. A number below 0 means that the value is unknown.
  Out& integer(std::string_view name, int64_t value)
  {
    return raw(",\"").raw(name).raw("\":").raw(value < 0 ? "null" : std::to_string(value));
  }

  Out& text(std::string_view name, std::string_view value) { return raw(",\"").raw(name).raw("\":\"").raw(value).raw("\""); }

  // Writes nanoseconds as milliseconds with six decimals.
  Out& ms(std::string_view name, int64_t ns)
  {
    raw(",\"").raw(name).raw("\":");
    return ms(ns);
  }

  Out& ms(int64_t ns)
  {
    char digits[32];
    int length = std::snprintf(digits, sizeof digits, "%s%lld.%06lld", ns < 0 ? "-" : "",
                               static_cast<long long>(std::abs(ns) / 1000000), static_cast<long long>(std::abs(ns) % 1000000));
    return raw({digits, static_cast<size_t>(length)});
  }

  Out& id(std::string_view name, uint64_t value)
  {
    raw(",\"").raw(name).raw("\":\"");
    return hex(value).raw("\"");
  }

  Out& hex(uint64_t value)
  {
    for (int shift = 60; shift >= 0; shift -= 4)
      buffer_ += "0123456789abcdef"[(value >> shift) & 15];
    return *this;
  }

  void end_line()
  {
    buffer_ += '\n';
    ++lines;
    if (buffer_.size() > BUFFER_BYTES)
      flush();
  }

  void finish()
  {
    flush();
    bool is_good = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (!is_good)
      fail();
  }

  uint64_t lines = 0;

private:
  void flush()
  {
    if (std::fwrite(buffer_.data(), 1, buffer_.size(), file_) != buffer_.size())
      fail();
    buffer_.clear();
  }

  [[noreturn]] void fail() { throw std::runtime_error("cannot write " + path_.string() + ": check the folder and the free space"); }

  // Size of a block.
  static constexpr size_t BUFFER_BYTES = 1 << 20;

  std::filesystem::path path_;
  std::FILE* file_;
  std::string buffer_;
};
