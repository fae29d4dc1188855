package shop;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;

/**
 * The shop's advice: has its answer validated by a tunable-svc, and asks the stock for a missing shelf.
 *
 * <p>A request's id is the caller's id and a number: 7a.2.1 is the first call made while serving 7a.2. The log alone
 * therefore shows who called whom, independently of the tracing.
 */
@SpringBootApplication
@RestController
public class Advice {
  private static final Duration TIMEOUT = Duration.ofMinutes(2);
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final String checkUrl = env("CHECK_URL", "http://127.0.0.1:8080");
  private final String stockUrl = env("STOCK_URL", "http://127.0.0.1:8002");

  public static void main(String[] args) {
    SpringApplication.run(Advice.class, args);
  }

  @GetMapping("/advice/{sku}")
  ResponseEntity<byte[]> advise(@PathVariable int sku, @RequestHeader(name = "x-request-id", defaultValue = "none") String id)
      throws JsonProcessingException, InterruptedException {
    byte[] advice = JSON.writeValueAsBytes(Map.of("with", sku, "take", sku + 1));
    call(id + ".1", "POST", checkUrl, "/json/validate", advice);
    call(id + ".2", "GET", stockUrl, "/shelves/" + sku, new byte[0]);
    Map<String, Object> line = line("served", id, "GET", "/advice/" + sku, 200);
    log(line, 0, advice.length);
    return ResponseEntity.ok().contentType(MediaType.APPLICATION_JSON).body(advice);
  }

  /** Makes a call; a missing answer is logged and ignored. */
  private void call(String id, String method, String origin, String path, byte[] body)
      throws JsonProcessingException, InterruptedException {
    HttpRequest.BodyPublisher publisher =
        body.length == 0 ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(body);
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(origin + path))
            .method(method, publisher)
            .header("x-request-id", id)
            .timeout(TIMEOUT)
            .build();
    try {
      HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
      log(line("called", id, method, path, response.statusCode()), response.body().length, body.length);
    } catch (IOException error) {
      log(line("called", id, method, path, null), 0, body.length);
    }
  }

  private static Map<String, Object> line(String what, String id, String method, String path, Integer status) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put(what, id);
    line.put("service", "advice");
    line.put("protocol", "http");
    line.put("method", method);
    line.put("path", path);
    line.put("status", status);
    return line;
  }

  private static void log(Map<String, Object> line, int in, int out) throws JsonProcessingException {
    line.put("bytes_in", in);
    line.put("bytes_out", out);
    System.out.println(JSON.writeValueAsString(line));
  }

  private static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
